use super::*;

fn draft<'a>(topic: &'a str, body: &'a [u8], properties: &'a [u8]) -> Draft<'a> {
    Draft {
        topic,
        queue_id: QueueId(3),
        flag: -7,
        sys_flag: sys_flag::COMPRESSED,
        born_time: UnixMillis(1_700_000_000_123),
        born_host: "10.1.2.3:5555".parse().expect("an address"),
        store_host: "127.0.0.1:30911".parse().expect("an address"),
        reconsume_times: 2,
        prepared_offset: 0,
        body,
        properties,
        more_properties: b"CLUSTER\x01c\x02",
    }
}

fn encoded(draft: &Draft<'_>) -> Vec<u8> {
    let mut bytes = vec![0xEE; draft.encoded_len()];
    draft.encode(&mut bytes);
    bytes
}

#[test]
fn what_is_written_is_read_back() {
    for v6 in [false, true] {
        for topic in ["T", &"x".repeat(127), &"%RETRY%".repeat(30)] {
            let mut draft = draft(topic, b"hello", b"TAGS\x01TagA");
            if v6 {
                draft.born_host = "[2001:db8::1]:7".parse().expect("an address");
                draft.store_host = "[2001:db8::2]:8".parse().expect("an address");
            }
            let mut bytes = encoded(&draft);
            stamp(&mut bytes, QueueOffset(9), PhysicalOffset(711), UnixMillis(42));
            bytes.extend_from_slice(b"what comes after is not looked at");
            let record = Record::parse(&bytes).expect("a record");
            record.check_body().expect("the body's CRC");
            assert_eq!(record.topic(), topic);
            assert_eq!(record.queue_id(), QueueId(3));
            assert_eq!(record.queue_offset(), QueueOffset(9));
            assert_eq!(record.physical_offset(), PhysicalOffset(711));
            assert_eq!(record.store_time(), UnixMillis(42));
            assert_eq!(record.born_time(), draft.born_time);
            assert_eq!(
                (record.born_host(), record.store_host()),
                (draft.born_host, draft.store_host)
            );
            assert_eq!((record.flag(), record.reconsume_times()), (-7, 2));
            assert_eq!(record.body(), b"hello");
            assert_eq!(record.properties(), b"TAGS\x01TagA\x02CLUSTER\x01c\x02");
            assert_eq!(record.tag_hash(), 2_598_919);
            assert_eq!(record.bytes().len(), draft.encoded_len());
            let head = Head::parse(&bytes[..HEAD_LEN]).expect("a head");
            assert_eq!(head.len as usize, draft.encoded_len());
            assert_eq!((head.queue_id, head.queue_offset), (QueueId(3), QueueOffset(9)));
            assert_eq!(head.physical_offset, PhysicalOffset(711));
            assert_eq!(head.store_time, UnixMillis(42));
            assert!(Head::parse(&bytes[..HEAD_LEN - 1]).is_err());
            assert!(Head::parse(&bytes[1..]).is_err());
        }
    }
}

#[test]
fn the_fixed_positions_are_rocketmqs() {
    let mut bytes = encoded(&draft("T", b"abc", b""));
    stamp(&mut bytes, QueueOffset(1), PhysicalOffset(2), UnixMillis(3));
    assert_eq!(bytes[4..8], [0xDA, 0xA3, 0x20, 0xA7]);
    assert_eq!(bytes[8..12], 0x3524_41C2u32.to_be_bytes()); // CRC-32 of "abc"
    assert_eq!(bytes[20..28], 1u64.to_be_bytes());
    assert_eq!(bytes[28..36], 2u64.to_be_bytes());
    assert_eq!(bytes[48..56], [10, 1, 2, 3, 0, 0, 0x15, 0xB3]);
    assert_eq!(bytes[56..64], 3u64.to_be_bytes());
    assert_eq!(bytes[72..76], 2u32.to_be_bytes());
    assert_eq!(bytes[84..88], 3u32.to_be_bytes());
    assert_eq!(&bytes[88..93], b"abc\x01T");
}

#[test]
fn damage_is_named() {
    let good = encoded(&draft("Topic", b"body", b"a\x01b\x02"));
    assert!(matches!(Record::parse(&good[..50]), Err(RecordError::Short { .. })));
    assert!(matches!(Record::parse(&good[..good.len() - 1]), Err(RecordError::Short { .. })));
    let with = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        bad
    };
    assert!(matches!(Record::parse(&with(4, 0)), Err(RecordError::Magic(_))));
    assert!(matches!(Record::parse(&with(84, 0x7F)), Err(RecordError::Field { .. })));
    assert!(matches!(
        Record::parse(&with(87, 3)),
        Err(RecordError::Sum { .. } | RecordError::Field { .. })
    ));
    let other_body = with(88, b'B');
    let record = Record::parse(&other_body).expect("the lengths still hold");
    assert!(matches!(record.check_body(), Err(RecordError::BodyCrc { .. })));
}

#[test]
fn no_bytes_make_it_panic() {
    let good = encoded(&draft("Topic", b"body", b"a\x01b\x02"));
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for _ in 0..200_000 {
        let mut bytes = good.clone();
        for _ in 0..3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = (state >> 33) as usize % bytes.len();
            bytes[at] = state.to_be_bytes()[4];
        }
        if let Ok(record) = Record::parse(&bytes) {
            assert_eq!(record.bytes().len(), u32_at(&bytes, 0) as usize);
            let _ = (record.store_host(), record.tag_hash(), record.reconsume_times());
        }
    }
}
