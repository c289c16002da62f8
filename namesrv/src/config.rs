//! What the NameServer is started with, in types.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ::config::{ConfigErrors, Settings, Source, Warning};

use crate::keys::KEYS;

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Connections without traffic for this long are closed.
    pub idle: Duration,
    /// Time between two looks for brokers that went silent.
    pub scan: Duration,
    /// How long after the start routes are refused.
    pub warm_up: Duration,
    /// Give the order configuration of a topic with its route.
    pub order_in_routes: bool,
    /// Give the order configuration of all topics to a registering broker.
    pub order_to_brokers: bool,
    /// Serve the list of all topics.
    pub list_all_topics: bool,
    /// Serve the topics of a cluster and the system topics.
    pub list_topics: bool,
    /// Show an acting master.
    pub acting_master: bool,
    /// A full registration removes the broker's topics that it does not name.
    pub registration_replaces_topics: bool,
}

impl Config {
    /// From a file's text and its name for messages; `None` is an empty file. Also the settings, to print them.
    ///
    /// # Errors
    /// All errors of the file, each with line, key, value and what is allowed.
    pub fn load(
        file: Option<(&str, &str)>,
    ) -> Result<(Config, Settings, Vec<Warning>), ConfigErrors> {
        let mut settings = Settings::defaults(&KEYS);
        let warnings = match file {
            Some((name, text)) => settings.load(&Source::file(name), text.as_bytes())?,
            None => Vec::new(),
        };
        let config = Config::of(&settings)?;
        Ok((config, settings, warnings))
    }

    /// From settings of [`KEYS`].
    ///
    /// # Errors
    /// A value that fits its key and still makes no sense.
    pub fn of(settings: &Settings) -> Result<Config, ConfigErrors> {
        let ip: IpAddr = settings.text("bindAddress").parse().map_err(|_| {
            settings.bad_value("bindAddress", "an IP address of this host, or 0.0.0.0")
        })?;
        let warm_up = match settings.bool("needWaitForService") {
            true => Duration::from_secs(settings.int("waitSecondsForService")),
            false => Duration::ZERO,
        };
        Ok(Config {
            listen: SocketAddr::new(ip, settings.int("listenPort")),
            idle: Duration::from_secs(settings.int("serverChannelMaxIdleTimeSeconds")),
            scan: Duration::from_millis(settings.int("scanNotActiveBrokerInterval")),
            warm_up,
            order_in_routes: settings.bool("orderMessageEnable"),
            order_to_brokers: settings.bool("returnOrderTopicConfigToBroker"),
            list_all_topics: settings.bool("enableAllTopicList"),
            list_topics: settings.bool("enableTopicList"),
            acting_master: settings.bool("supportActingMaster"),
            registration_replaces_topics: settings.bool("deleteTopicWithBrokerRegistration"),
        })
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::of(&Settings::defaults(&KEYS)).expect("the defaults are a configuration")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_apaches() {
        let config = Config::default();
        assert_eq!(config.listen.to_string(), "0.0.0.0:9876");
        assert_eq!(config.idle, Duration::from_secs(120));
        assert_eq!(config.scan, Duration::from_secs(5));
        assert_eq!(config.warm_up, Duration::ZERO);
        assert!(config.list_all_topics && config.list_topics && config.order_to_brokers);
        assert!(!config.acting_master && !config.order_in_routes);
    }

    /// A NameServer with a controller inside, as operators bring it; with exactly the messages it gets.
    #[test]
    fn scenario_2_a_nameserver_with_a_controller_inside() {
        let text = "#Namesrv config\nlistenPort = 9876\nenableControllerInNamesrv = true\n\n#controller config\n\
                    controllerDLegerGroup = group1\n\
                    controllerDLegerPeers = n0-127.0.0.1:9878;n1-127.0.0.1:9868;n2-127.0.0.1:9858\n\
                    controllerDLegerSelfId = n0\n";
        let (config, settings, warnings) = Config::load(Some(("namesrv-n0.conf", text))).unwrap();
        assert_eq!(config, Config::default(), "the port is the default");
        assert!(settings.is_set("listenPort") && settings.int::<u16>("listenPort") == 9876);
        let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "namesrv-n0.conf:3: `enableControllerInNamesrv = true` has no effect: this NameServer has no controller inside",
                "namesrv-n0.conf:6: `controllerDLegerGroup = group1` has no effect: this NameServer has no controller inside",
                "namesrv-n0.conf:7: `controllerDLegerPeers = n0-127.0.0.1:9878;n1-127.0.0.1:9868;n2-127.0.0.1:9858` has no effect: this NameServer has no controller inside",
                "namesrv-n0.conf:8: `controllerDLegerSelfId = n0` has no effect: this NameServer has no controller inside",
            ]
        );
        // What a typing error in such a file gets.
        let (_, _, warnings) =
            Config::load(Some(("n.conf", "controllerDLedgerGroup = g\nlistenport = 1"))).unwrap();
        let lines: Vec<String> = warnings.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "n.conf:1: unknown key `controllerDLedgerGroup` is ignored; did you mean `controllerDLegerGroup`?",
                "n.conf:2: unknown key `listenport` is ignored; did you mean `listenPort`?",
            ]
        );
    }

    #[test]
    fn errors_say_where_and_what_is_allowed() {
        let error = Config::load(Some(("a.conf", "\nbindAddress = nowhere\n"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.conf:2: `bindAddress = nowhere` is not possible; allowed: an IP address of this host, or 0.0.0.0"
        );
        let error = Config::load(Some(("a.conf", "listenPort = 98765"))).unwrap_err();
        assert!(error.to_string().contains("a whole number from 0 to 65535"));
    }
}
