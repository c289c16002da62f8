//! Networks that are apart in part: which pairs of places do not reach each other.

/// The first of these, a minority that reaches itself, is apart from the rest.
#[must_use]
pub fn split(order: &[usize]) -> Vec<(usize, usize)> {
    let (minority, majority) = order.split_at(order.len().saturating_sub(1) / 2);
    let apart = |one: &usize| majority.iter().map(|other| (*one, *other)).collect::<Vec<_>>();
    minority.iter().flat_map(apart).collect()
}

/// Each reaches only the one before it and the one behind it, in a ring. Nothing is cut among three.
#[must_use]
pub fn ring(order: &[usize]) -> Vec<(usize, usize)> {
    let last = order.len().saturating_sub(1);
    let mut cuts = Vec::new();
    for (at, one) in order.iter().enumerate() {
        let beyond = order.iter().enumerate().skip(at + 2);
        cuts.extend(beyond.filter(|(to, _)| (at, *to) != (0, last)).map(|(_, to)| (*one, *to)));
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_is_apart_and_a_ring_has_two_neighbours_each() {
        assert_eq!(split(&[2, 0, 1]), [(2, 0), (2, 1)]);
        assert_eq!(split(&[4, 3, 2, 1, 0]).len(), 2 * 3);
        assert_eq!(ring(&[0, 1, 2]), []);
        let cuts = ring(&[4, 2, 0, 1, 3]);
        assert_eq!(cuts.len(), 5 * (5 - 3) / 2);
        for one in 0..5 {
            let cut = cuts.iter().filter(|(a, b)| *a == one || *b == one).count();
            assert_eq!(cut, 2, "{one} reaches two of the four others: {cuts:?}");
        }
        assert!(!cuts.contains(&(4, 2)) && !cuts.contains(&(4, 3)), "neighbours: {cuts:?}");
    }
}
