//! Settings that a broker starts with and that hardly mean what they say: what will happen instead.

use ::config::Settings;

use super::raft_group;

/// One log line for each.
#[must_use]
pub fn advice(settings: &Settings) -> Vec<String> {
    let mut lines = disk_ratios(settings);
    lines.extend(raft_group::advice(settings));
    if settings.text(CLUSTER).is_empty() {
        let default = settings.table().find(CLUSTER).map_or("", |key| key.default);
        lines.push(format!(
            "{}: the name of a cluster is not empty, it is {default} as without the line",
            setting(settings, CLUSTER)
        ));
    }
    lines
}

/// The key of the cluster's name.
pub(super) const CLUSTER: &str = "brokerClusterName";
const EARLY: &str = "diskMaxUsedSpaceRatio";
const FORCED: &str = "diskSpaceCleanForciblyRatio";
const FULL: &str = "diskSpaceWarningLevelRatio";

/// The ratios that are reached in another order than the one they are made for.
fn disk_ratios(settings: &Settings) -> Vec<String> {
    let percent = |key: &str| settings.int::<u8>(key);
    let forcibly = settings.bool("cleanFileForciblyEnable");
    let mut lines = Vec::new();
    let mut swapped = |first: &str, second: &str, then: String| {
        if percent(first) >= percent(second) {
            let (first, second) = (setting(settings, first), setting(settings, second));
            lines.push(format!("{first} is not below {second}: {then}"));
        }
    };
    let (forced, full) = (percent(FORCED), percent(FULL));
    if forcibly {
        swapped(
            EARLY,
            FORCED,
            format!(
                "above {forced} % of the disk the oldest messages go even if they are younger than fileReservedTime, \
                 before the expired ones go at any hour"
            ),
        );
        swapped(
            FORCED,
            FULL,
            format!(
                "sends are refused above {full} % of the disk, before messages go ahead of their time to make room"
            ),
        );
    }
    swapped(
        EARLY,
        FULL,
        format!(
            "sends are refused above {full} % of the disk, before expired messages go outside of deleteWhen"
        ),
    );
    lines
}

/// "`key = value` (place)".
pub(super) fn setting(settings: &Settings, key: &str) -> String {
    format!("`{key} = {}` ({})", settings.text(key), settings.place(key))
}

#[cfg(test)]
mod tests {
    use ::config::Source;

    use super::super::KEYS;
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let mut settings = Settings::defaults(&KEYS);
        settings.load(&Source::file("f"), text.as_bytes()).expect("the file loads");
        advice(&settings)
    }

    #[test]
    fn the_defaults_are_in_order() {
        assert_eq!(lines(""), Vec::<String>::new());
        assert_eq!(lines("diskMaxUsedSpaceRatio=84"), Vec::<String>::new());
    }

    #[test]
    fn the_everyday_88_says_what_it_does() {
        let text = "diskMaxUsedSpaceRatio = 88";
        assert_eq!(
            lines(text),
            [
                "`diskMaxUsedSpaceRatio = 88` (f:1) is not below `diskSpaceCleanForciblyRatio = 85` (default): above 85 % of \
                 the disk the oldest messages go even if they are younger than fileReservedTime, before the expired ones go \
                 at any hour"
            ]
        );
        assert_eq!(lines(&format!("{text}\ncleanFileForciblyEnable=false")), Vec::<String>::new());
    }

    #[test]
    fn each_pair_that_is_swapped_has_its_line() {
        let found = lines(
            "diskMaxUsedSpaceRatio=90\ndiskSpaceCleanForciblyRatio=80\ndiskSpaceWarningLevelRatio=70",
        );
        assert_eq!(found.len(), 3);
        assert!(found[1].contains("sends are refused above 70 %"), "{}", found[1]);
        assert!(found[2].ends_with("before expired messages go outside of deleteWhen"));
    }

    #[test]
    fn an_empty_cluster_is_the_default_one() {
        assert_eq!(
            lines("brokerClusterName="),
            [
                "`brokerClusterName = ` (f:1): the name of a cluster is not empty, it is DefaultCluster as without the line"
            ]
        );
    }
}
