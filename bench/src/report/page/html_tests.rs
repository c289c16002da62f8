use serde_json::json;

use super::*;

fn run(label: &str) -> serde_json::Value {
    json!({
        "mode": "produce", "label": label, "rate": 1234.5, "p50_us": 80.0, "p99_us": 200.0, "p999_us": null,
        "latency_count": 99, "errors": 0, "server": {"cpu_s": 1.0, "cpu_us_per_msg": 3.25, "resident_bytes": 1048576},
        "percentiles": [[0.0, 50.0], [90.0, 100.0], [100.0, 300.0]],
        "points": [{"at_s": 1, "rate": 1000.0, "p50_us": 80.0, "p99_us": 200.0, "errors": 0, "warm_up": true}],
        "parameters": {"topic": "T<1>", "count": null, "size": 1024},
        "notes": ["a & b"],
    })
}

fn study() -> serde_json::Value {
    json!({
        "mode": "compare",
        "sides": [
            {"label": "A", "windows": [run("A #1"), run("A #2")]},
            {"label": "B", "windows": [run("B #1")]},
        ],
        "spreads": [{"name": "p99, A / B", "unit": "ratio", "values": [0.5], "median": 0.5, "min": 0.25, "max": 0.75}],
        "notes": [], "parameters": {},
    })
}

#[test]
fn the_page_holds_every_run_and_needs_nothing_else() {
    let document = Document::read("x", &study()).unwrap();
    let sides: Vec<_> = document.plots.iter().map(|plot| plot.side.as_str()).collect();
    assert_eq!(sides, ["A", "A", "B"]);
    let page = page("ours & theirs", &[document]);
    for part in [
        "<title>ours &amp; theirs</title>",
        "p99, A / B",
        "<b>0.500</b>",
        "A #2",
        "3.25 µs",
        "1.0 MiB",
        "\"percentiles\":[[0.0,50.0]",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["src=", "href=", "@import", "url(", "fetch(", "import("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert_eq!(page.matches("<script").count(), page.matches("</script>").count());
}

#[test]
fn what_came_from_outside_means_itself() {
    let document = Document::read("x", &run("</script><b>")).unwrap();
    assert_eq!(document.parameters, ["topic T<1>", "size 1024"]);
    let page = page("t", &[document]);
    assert!(!page.contains("</script><b>") && !page.contains("T<1>"));
    assert!(page.contains("T&lt;1&gt;") && page.contains("a &amp; b"));
    assert!(page.contains("\\u003c/script>"));
}

#[test]
fn a_run_without_a_label_has_the_name_of_its_file() {
    let document = Document::read("one.json", &run("")).unwrap();
    assert_eq!(document.plots[0].label, "one.json");
    let other = Document::read("two.json", &run("")).unwrap();
    let page = page("t", &[document, other]);
    assert!(page.contains("<h2>produce: one.json</h2>") && page.contains("id=\"plots-1\""));
}

#[test]
fn what_is_no_result_is_refused() {
    for other in [json!(7), json!({}), json!({"mode": "produce"}), json!({"sides": [1]})] {
        assert!(Document::read("x", &other).is_err(), "{other}");
    }
}
