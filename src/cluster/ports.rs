//! Whether the ports of processes that are to start can be had, and who has those that cannot.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use runtime::process::{EphemeralPorts, PortHolder, ephemeral_ports, port_holders};

use super::ClusterError;
use super::layout::Process;

/// How long the kernel may take to free the ports of a process that was killed a moment ago.
const PATIENCE: Duration = Duration::from_millis(1500);
const LOOK: Duration = Duration::from_millis(50);

/// A port, what for, and which option moves it.
struct Wanted {
    port: u16,
    whose: String,
    option: &'static str,
}

/// Looks at every port that these processes need.
///
/// # Errors
/// Those that are taken, a line each, with whoever has it.
pub async fn check(processes: &[&Process]) -> Result<(), ClusterError> {
    let until = runtime::now() + PATIENCE;
    let mut wanted: Vec<Wanted> = processes.iter().flat_map(|one| wanted(one)).collect();
    loop {
        wanted.retain(|one| !is_free(one.port));
        if wanted.is_empty() {
            return Ok(());
        }
        if runtime::now() >= until {
            break;
        }
        runtime::sleep(LOOK).await;
    }
    let kernel = ephemeral_ports();
    let line = |one: &Wanted| complaint(one, &port_holders(one.port), kernel.as_ref());
    Err(ClusterError::Ports(wanted.iter().map(line).collect::<Vec<_>>().join("\n")))
}

fn is_free(port: u16) -> bool {
    runtime::net::can_listen(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}

fn wanted(process: &Process) -> Vec<Wanted> {
    let option = if process.raft_port.is_some() { "--listen-port" } else { "--namesrv-port" };
    let mut wanted = vec![Wanted { port: process.port, whose: process.name.clone(), option }];
    wanted.extend(process.raft_port.map(|port| Wanted {
        port,
        whose: format!("the group of {}", process.name),
        option: "--raft-port",
    }));
    wanted
}

fn complaint(wanted: &Wanted, holders: &[PortHolder], kernel: Option<&EphemeralPorts>) -> String {
    let Wanted { port, whose, option } = wanted;
    let (who, remedy) = match holders.first() {
        Some(PortHolder { process: Some(process), listens: true }) => {
            let who =
                format!("process {} listens there: `{}`", process.pid, process.args.join(" "));
            (who, "stop that process")
        }
        Some(PortHolder { process: Some(process), listens: false }) => {
            let line = process.args.join(" ");
            (
                format!("process {} has a connection from it: `{line}`", process.pid),
                "stop that process",
            )
        }
        _ => {
            let who = "whoever has it does not show itself to this user: `ss -tanp` as root tells";
            (who.to_owned(), "stop that process")
        }
    };
    let given_away = match kernel.filter(|kernel| kernel.contains(*port)) {
        None => String::new(),
        Some(_) => format!(
            ". The kernel takes ports such as {port} for connections that go out; `sysctl -w \
             net.ipv4.ip_local_reserved_ports={port}` keeps it free"
        ),
    };
    format!(
        "port {port} of 127.0.0.1, for {whose}, is in use: {who}; {remedy}, or choose other ports with {option} (for a new \
         cluster){given_away}"
    )
}

#[cfg(test)]
mod tests {
    use runtime::process::Process;

    use super::*;

    fn wanted() -> Wanted {
        Wanted {
            port: 40912,
            whose: "the group of RaftNode00-n1".to_owned(),
            option: "--raft-port",
        }
    }

    fn holder(listens: bool) -> PortHolder {
        let args = ["java", "-jar", "x"].map(str::to_owned).to_vec();
        PortHolder { process: Some(Process { pid: 4711, name: "java".to_owned(), args }), listens }
    }

    #[test]
    fn whoever_has_a_port_is_named() {
        let text = complaint(&wanted(), &[holder(true)], None);
        assert_eq!(
            text,
            "port 40912 of 127.0.0.1, for the group of RaftNode00-n1, is in use: process 4711 listens there: `java -jar x`; \
             stop that process, or choose other ports with --raft-port (for a new cluster)"
        );
        let nobody = complaint(&wanted(), &[], None);
        assert!(nobody.contains("does not show itself to this user"), "{nobody}");
    }

    #[test]
    fn a_port_that_the_kernel_gives_away_is_told_how_to_keep() {
        let kernel = EphemeralPorts { range: 32768..=60999, reserved: Vec::new() };
        let text = complaint(&wanted(), &[holder(false)], Some(&kernel));
        assert!(text.contains("process 4711 has a connection from it: `java -jar x`"), "{text}");
        assert!(text.contains("ip_local_reserved_ports=40912` keeps it free"), "{text}");
    }
}
