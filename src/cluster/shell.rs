//! Words of a command for a shell.

/// A word that a shell takes as it is, whatever its characters. A path that needs no quotes has none.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+=:,./@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "a test asks a shell")]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_the_word_that_was_meant() {
        for word in
            ["a/b-c.d", "", "it's", "a \"b\" c", "$HOME `id` \\", "''", "h:1;h:2", "*", "~", "ü"]
        {
            let line = format!("printf %s {}", quoted(word));
            let output = Command::new("sh").args(["-c", &line]).output().expect("sh runs");
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{line}");
            // In a command that is a word of another one, too.
            let line = format!("sh -c {}", quoted(&line));
            let output = Command::new("sh").args(["-c", &line]).output().expect("sh runs");
            assert_eq!(String::from_utf8_lossy(&output.stdout), word, "{line}");
        }
    }

    #[test]
    fn a_plain_path_has_no_quotes() {
        assert_eq!(quoted("/home/me/data-cluster"), "/home/me/data-cluster");
        assert_eq!(quoted("a b"), "'a b'");
    }
}
