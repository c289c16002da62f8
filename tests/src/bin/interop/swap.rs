//! Suite `swap`: one server of a pair is ours and the other Apache's; a stock client uses both.

use tests::harness::check::Check;
use tests::harness::cluster::Spec;
use tests::harness::drivers::Part;
use tests::harness::lab::Client;
use tests::harness::servers::Maker;

const LIMIT: u64 = 240;

/// The suite; it has both makers in it already.
pub fn checks() -> Vec<Check> {
    [
        ("swap/our-broker-apache-namesrv", Maker::Apache, Maker::Ours),
        ("swap/apache-broker-our-namesrv", Maker::Ours, Maker::Apache),
    ]
    .into_iter()
    .map(|(name, namesrv, broker)| {
        let parts = [Part::Apache, Part::Java550];
        Check::new(name, Maker::Ours, &parts, LIMIT, move |lab| {
            lab.cluster(Spec { namesrv, broker, ..Spec::of(Maker::Ours) })?;
            lab.drive(Client::Java550, "swap", "swap", &[])
        })
    })
    .collect()
}
