//! What the page and the tables take from a result of `failover`.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::html::escaped;
use crate::failover::Timeline;
use crate::report::text::millis;

/// Faults, their windows, and the course of the probes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct OutagePlot {
    /// The course.
    pub timeline: Timeline,
    /// The faults, in their order.
    pub faults: Vec<Mark>,
    /// Windows of the groups that were struck.
    pub struck: Windows,
    /// From the fault to their end.
    pub after_fault: Windows,
    /// Windows of the other groups.
    pub others: Windows,
    /// The longest gaps after the heals.
    pub after_heal: Windows,
    /// Those after whose heal the leader changed again.
    pub led_back: Windows,
    /// The longest gap before the first fault.
    pub quiet_ms: Option<f64>,
}

/// Several windows.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Windows {
    /// The middle one.
    pub median_ms: Option<f64>,
    /// The longest.
    pub worst_ms: Option<f64>,
    /// All of them.
    pub all_ms: Vec<f64>,
}

/// A fault.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Mark {
    /// From 1.
    pub number: u32,
    /// When, in seconds since the first probe.
    pub at_s: f64,
    /// When it was healed.
    pub heal_at_s: Option<f64>,
    /// The leader that was struck.
    pub addr: String,
    /// Who led when it was healed.
    pub addr_after: Option<String>,
    /// Who led after the heal.
    pub addr_after_heal: Option<String>,
    /// Group by group.
    pub groups: Vec<MarkedGroup>,
}

/// What it did to a group.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct MarkedGroup {
    /// Broker name.
    pub group: String,
    /// Whether its leader was struck.
    pub is_struck: bool,
    /// Its window.
    pub window_ms: Option<f64>,
    /// Where it begins.
    pub from_s: Option<f64>,
    /// Where it ends; nowhere, if the group did not come back.
    pub to_s: Option<f64>,
    /// From the fault to its end.
    pub after_fault_ms: Option<f64>,
    /// The longest gap after the heal.
    pub heal_window_ms: Option<f64>,
    /// Where that begins.
    pub heal_from_s: Option<f64>,
    /// Where it ends; nowhere, if the group did not come back.
    pub heal_to_s: Option<f64>,
    /// Probes that failed.
    pub failed: u64,
}

impl Mark {
    /// Who led before, after it and after its heal.
    fn leaders(&self) -> String {
        // Nobody led; or the result is an older one, which does not tell.
        let or_dash = |addr: &Option<String>| addr.clone().unwrap_or_else(|| "–".to_owned());
        let mut leaders = format!("{} → {}", self.addr, or_dash(&self.addr_after));
        if self.heal_at_s.is_some() {
            leaders = format!("{leaders} → {}", or_dash(&self.addr_after_heal));
        }
        leaders
    }
}

const COLUMNS: [&str; 7] = [
    "fault",
    "group",
    "led by, then, after the heal",
    "window",
    "from the fault to its end",
    "longest after the heal",
    "failed",
];

impl OutagePlot {
    /// A row for each fault and group, as the columns say.
    fn rows(&self) -> impl Iterator<Item = [String; 7]> + '_ {
        let or_dash = |value: Option<f64>| value.map_or("–".to_owned(), millis);
        self.faults.iter().flat_map(move |fault| {
            fault.groups.iter().map(move |group| {
                let is_open = group.from_s.is_some() && group.to_s.is_none();
                let least = if is_open { "≥ " } else { "" };
                // What begins somewhere and ends nowhere; older results say neither.
                let is_open = group.heal_from_s.is_some() && group.heal_to_s.is_none();
                let least_heal = if is_open { "≥ " } else { "" };
                [
                    fault.number.to_string(),
                    group.group.clone(),
                    if group.is_struck { fault.leaders() } else { String::new() },
                    format!("{least}{}", or_dash(group.window_ms)),
                    format!("{least}{}", or_dash(group.after_fault_ms)),
                    format!("{least_heal}{}", or_dash(group.heal_window_ms)),
                    group.failed.to_string(),
                ]
            })
        })
    }

    /// Median and worst of all windows.
    fn sums(&self) -> Vec<[String; 4]> {
        let sums = [
            ("window of the group that was struck", &self.struck),
            ("from the fault to its end", &self.after_fault),
            ("window of the other groups", &self.others),
            ("longest after the heal", &self.after_heal),
            ("longest after a heal that changed the leader again", &self.led_back),
        ];
        let told = sums.into_iter().filter_map(|(name, windows)| {
            let count = windows.all_ms.len().to_string();
            Some([name.to_owned(), millis(windows.median_ms?), millis(windows.worst_ms?), count])
        });
        told.collect()
    }

    /// Both tables, in Markdown.
    ///
    /// # Errors
    /// None: a `String` takes everything.
    pub fn markdown(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "| {} |\n|---|---|---|---|---|---|---|", COLUMNS.join(" | "))?;
        for row in self.rows() {
            writeln!(out, "| {} |", row.map(|cell| cell.replace('|', "\\|")).join(" | "))?;
        }
        writeln!(out, "\n| | median | worst | of |\n|---|---|---|---|")?;
        for row in self.sums() {
            writeln!(out, "| {} |", row.join(" | "))?;
        }
        if let Some(quiet) = self.quiet_ms {
            writeln!(out, "\nBefore the first fault: {}.", millis(quiet))?;
        }
        Ok(())
    }

    /// Both tables, the place of the plot with this number, and what it is drawn from.
    ///
    /// # Errors
    /// None: a `String` takes everything.
    pub fn html(&self, out: &mut String, number: usize) -> fmt::Result {
        out.push_str("<table class=\"spreads\">\n<tr><th>windows</th><th>median</th><th>worst</th><th>of</th></tr>\n");
        for row in self.sums() {
            writeln!(out, "<tr><td>{}</td></tr>", row.join("</td><td>"))?;
        }
        writeln!(out, "</table>\n<div class=\"plots\" id=\"probes-{number}\"></div>")?;
        writeln!(out, "<table>\n<tr><th>{}</th></tr>", COLUMNS.join("</th><th>"))?;
        for row in self.rows() {
            let row = row.map(|cell| escaped(&cell));
            writeln!(out, "<tr><td>{}</td></tr>", row.join("</td><td>"))?;
        }
        let data = serde_json::to_string(self).expect("plain values");
        // `</script>` in a name would end the element.
        let data = data.replace('<', "\\u003c");
        writeln!(
            out,
            "</table>\n<script type=\"application/json\" class=\"probes\" data-for=\"probes-{number}\">{data}</script>"
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Document, page};
    use crate::report::markdown;

    fn result() -> serde_json::Value {
        let group = |name: &str, is_struck: bool, to: Option<f64>| {
            json!({"group": name, "is_struck": is_struck, "window_ms": 9310.0, "from_s": 3.0, "to_s": to,
                   "after_fault_ms": 9300.0, "heal_window_ms": 6.0, "heal_from_s": 16.0, "heal_to_s": to,
                   "failed": 1800})
        };
        json!({
            "mode": "failover",
            "struck": {"median_ms": 9310.0, "worst_ms": 16900.0, "all_ms": [9310.0, 16900.0], "open": 0},
            "after_fault": {"median_ms": 9305.0, "worst_ms": 16890.0, "all_ms": [9305.0, 16890.0]},
            "others": {"median_ms": null, "worst_ms": null, "all_ms": []},
            "led_back": {"median_ms": 545.0, "worst_ms": 545.0, "all_ms": [545.0]},
            "quiet_ms": 7.0,
            "faults": [{"number": 1, "at_s": 3.0, "heal_at_s": 15.0, "addr": "h:1", "addr_after": "h:2",
                        "groups": [group("a|</script>", true, Some(12.3)), group("b", false, None)]}],
            "timeline": {"step_s": 0.1, "groups": [{"group": "a", "acked": [20, 0], "failed": [0, 20]}]},
            "notes": ["so & so"], "parameters": {"fault": "kill -9 $LEADER_PID"},
        })
    }

    #[test]
    fn the_page_has_the_windows_and_what_the_plot_is_drawn_from() {
        let document = Document::read("x", &result()).unwrap();
        let page = page("t", &[document]);
        for part in [
            "<td>9.31 s</td><td>16.90 s</td><td>2</td>",
            "<td>≥ 9.31 s</td>",
            "id=\"probes-0\"",
            "\"acked\":[20,0]",
            "\"heal_at_s\":15.0",
            "so &amp; so",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("a|</script>") && !page.contains("class=\"runs\""));
        assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
    }

    #[test]
    fn the_tables_have_a_row_for_each_group() {
        let text = markdown(&Document::read("x", &result()).unwrap());
        assert!(
            text.contains(
                "| 1 | a\\|</script> | h:1 → h:2 → – | 9.31 s | 9.30 s | 6.00 ms | 1800 |"
            ),
            "{text}"
        );
        assert!(text.contains("| 1 | b |  | ≥ 9.31 s | ≥ 9.30 s | ≥ 6.00 ms |"), "{text}");
        assert!(
            text.contains(
                "| longest after a heal that changed the leader again | 545.00 ms | 545.00 ms | 1 |"
            ),
            "{text}"
        );
        assert!(text.contains("| window of the group that was struck | 9.31 s | 16.90 s | 2 |"));
        assert!(
            text.contains("Before the first fault: 7.00 ms.") && text.contains("Note: so & so")
        );
        assert!(!text.contains("messages/s"));
    }
}
