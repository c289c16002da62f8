//! The `language` field of a header.

/// Writes the language table with its conversions.
macro_rules! languages {
    ($( $variant:ident = $byte:literal, $name:literal; )*) => {
        /// The language that the sender of a command claims. RocketMQ 5.5.0, class LanguageCode.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum Language {
            $(
                #[doc = concat!("`", $name, "`, byte ", $byte, ".")]
                $variant,
            )*
            /// A language that RocketMQ 5.5.0 does not list. It is written as `OTHER`.
            #[default]
            Unknown,
        }

        impl Language {
            /// The language of this name; [`Language::Unknown`] if the table has none.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                match name {
                    $( $name => Self::$variant, )*
                    _ => Self::Unknown,
                }
            }

            /// The language of this byte; [`Language::Unknown`] if the table has none.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Self {
                match byte {
                    $( $byte => Self::$variant, )*
                    _ => Self::Unknown,
                }
            }

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )*
                    Self::Unknown => "OTHER",
                }
            }
        }
    };
}

languages! {
    Java = 0, "JAVA";
    Cpp = 1, "CPP";
    DotNet = 2, "DOTNET";
    Python = 3, "PYTHON";
    Delphi = 4, "DELPHI";
    Erlang = 5, "ERLANG";
    Ruby = 6, "RUBY";
    Other = 7, "OTHER";
    Http = 8, "HTTP";
    Go = 9, "GO";
    Php = 10, "PHP";
    Oms = 11, "OMS";
    Rust = 12, "RUST";
    NodeJs = 13, "NODE_JS";
}

impl Language {
    /// The language that we emit. Not RUST, although the table of 5.5.0 has it: the list ended at
    /// OMS (11) in releases that are still in use, and a Java enum without the name either fails
    /// to parse the header or leaves the field null. Every client knows JAVA.
    pub const OURS: Self = Self::Java;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_names_agree() {
        for byte in 0..14 {
            let language = Language::from_byte(byte);
            assert_ne!(language, Language::Unknown, "byte {byte}");
            assert_eq!(Language::from_name(language.name()), language);
        }
        assert_eq!(Language::from_byte(14), Language::Unknown);
        assert_eq!(Language::from_name("COBOL"), Language::Unknown);
        assert_eq!(Language::Unknown.name(), "OTHER");
        assert_eq!(Language::from_byte(9).name(), "GO");
    }
}
