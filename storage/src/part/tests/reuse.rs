//! Files that nobody needs are written over.

use std::rc::Rc;

use super::super::write;
use super::*;

/// The files in the directory, by name, with their sizes.
async fn files(dir: &Path) -> BTreeMap<String, u64> {
    let entries = fs::list(dir).await.expect("readable");
    entries.into_iter().map(|entry| (entry.name, entry.len)).collect()
}

#[test]
fn a_part_over_an_old_one_says_what_it_must() {
    for seed in 0..10 {
        simulated(seed, |dir| async move {
            let (mut log, parts) = (Log::random(), parts_in(&dir));
            let (large, _) = log.part(3000);
            let large = write(&parts, STORE, &large).await.expect("room");
            let len = large.file_len();
            parts.retire(vec![Rc::new(large)]).await.expect("renamed");
            assert_eq!(files(&dir).await, [("spare.0".to_owned(), len)].into());
            let (small, content) = log.part(1500);
            let small = write(&parts, STORE, &small).await.expect("room");
            assert_says(&small, &content).await;
            assert!(small.len() < len, "the end of the large one is behind it");
            let name = small.span().name();
            assert_eq!(files(&dir).await, [(name.clone(), len)].into());
            // And as a later life finds it.
            let again = PartFile::open(&dir.join(&name), STORE).await.expect("intact");
            assert_says(&again, &content).await;
            again.check().await.expect("intact");
        });
    }
}

#[test]
fn a_part_that_is_being_read_is_left_to_its_reader() {
    simulated(1, |dir| async move {
        let (mut log, parts) = (Log::new(40, 1000), parts_in(&dir));
        let (first, content) = log.part(1500);
        let first = Rc::new(write(&parts, STORE, &first).await.expect("room"));
        let reader = Rc::clone(&first);
        parts.retire(vec![first]).await.expect("removed");
        assert_eq!(files(&dir).await.len(), 0, "nobody else gets it");
        let (second, other) = log.part(1500);
        let second = write(&parts, STORE, &second).await.expect("room");
        assert_says(&reader, &content).await;
        assert_says(&second, &other).await;
    });
}

#[test]
fn a_later_life_takes_old_files_over_and_no_more_than_it_keeps() {
    simulated(2, |dir| async move {
        let (mut log, parts) = (Log::new(40, 1000), parts_in(&dir));
        let mut retired = Vec::new();
        for _ in 0..3 {
            let (part, _) = log.part(1500);
            retired.push(Rc::new(write(&parts, STORE, &part).await.expect("room")));
        }
        let len = retired[0].file_len();
        parts.retire(retired).await.expect("renamed");
        assert_eq!(files(&dir).await.len(), 3);
        let parts = PartDir::new(dir.clone(), 2 * len + len / 2);
        parts.find_old().await.expect("readable");
        assert_eq!(files(&dir).await.len(), 2, "one is too much");
        let (part, content) = log.part(1500);
        let part = write(&parts, STORE, &part).await.expect("room");
        assert_says(&part, &content).await;
        assert_eq!(files(&dir).await.len(), 2, "it is one of the two");
        assert!(parts.remove_old().await, "there was one");
        assert_eq!(files(&dir).await.into_keys().collect::<Vec<_>>(), [part.span().name()]);
    });
}

#[test]
fn an_old_file_that_somebody_has_removed_is_done_without() {
    simulated(3, |dir| async move {
        let (mut log, parts) = (Log::new(40, 1000), parts_in(&dir));
        let (part, _) = log.part(1500);
        let part = write(&parts, STORE, &part).await.expect("room");
        parts.retire(vec![Rc::new(part)]).await.expect("renamed");
        fs::remove_file(dir.join("spare.0")).await.expect("removed");
        let (part, content) = log.part(1500);
        let part = write(&parts, STORE, &part).await.expect("room");
        assert_says(&part, &content).await;
    });
}
