//! What mqadmin prints, taken apart.

/// A table of mqadmin's: a line of column names, each after a `#`, and rows of words.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The words of each line below it, up to an empty line.
    pub rows: Vec<Vec<String>>,
}

/// Standard output without the status lines that logback writes into it.
#[must_use]
pub fn said(output: &str) -> String {
    output.lines().filter(|line| !line.contains("|-")).map(|line| format!("{line}\n")).collect()
}

impl Table {
    /// The first table in an output, if there is one.
    #[must_use]
    pub fn of(output: &str) -> Option<Self> {
        let mut lines = output.lines().skip_while(|line| !line.starts_with('#'));
        let columns = lines.next()?.split('#').skip(1).map(|name| name.trim().to_owned()).collect();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let rows = lines.take_while(|line| !line.trim().is_empty()).map(words).collect();
        Some(Self { columns, rows })
    }
}

/// The value of a line `key   : value`.
#[must_use]
pub fn value<'a>(output: &'a str, key: &str) -> Option<&'a str> {
    output.lines().find_map(|line| {
        let (seen, value) = line.split_once(':')?;
        (seen.trim() == key).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "12:00 |-INFO in ch.qos\n\n#Broker Name   #QID  #Send Result  #MsgId\n\
        b-1            2     SEND_OK       FD00\nb-2            3     SEND_OK       FD01\n\nTPS: 0.5\n";

    #[test]
    fn a_table_ends_at_an_empty_line() {
        let table = Table::of(&said(OUTPUT)).unwrap();
        assert_eq!(table.columns, ["Broker Name", "QID", "Send Result", "MsgId"]);
        assert_eq!(table.rows, [["b-1", "2", "SEND_OK", "FD00"], ["b-2", "3", "SEND_OK", "FD01"]]);
        assert_eq!(Table::of("nothing here\n"), None);
    }

    #[test]
    fn values_are_found_by_their_whole_key() {
        let text = "putTps2 : 7\nputTps  : 0.0 1.0 \nwhen : 12:30\n";
        assert_eq!(value(text, "putTps"), Some("0.0 1.0"));
        assert_eq!(value(text, "when"), Some("12:30"));
        assert_eq!(value(text, "put"), None);
    }

    #[test]
    fn log_lines_are_not_said() {
        assert!(!said(OUTPUT).contains("ch.qos") && said(OUTPUT).contains("b-2"));
    }
}
