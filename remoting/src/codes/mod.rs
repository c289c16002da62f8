//! The numbers of requests and answers. A number that no table has stays an `i32`: it can be
//! answered (code 3) and printed, it only has no name.

mod request;
mod response;

pub use request::RequestCode;
pub use response::ResponseCode;

/// Writes one table of codes as an enum with its conversions.
macro_rules! codes {
    (
        $(#[$meta:meta])*
        pub enum $table:ident;
        $( $variant:ident = $code:literal, $name:literal; )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        pub enum $table {
            $(
                #[doc = concat!("`", $name, "`, number ", $code, ".")]
                $variant = $code,
            )*
        }

        impl $table {
            /// Every code of the table, in the order of the table.
            pub const ALL: &[Self] = &[ $( Self::$variant, )* ];

            /// The code of this number, or `None` if the table has none.
            #[must_use]
            pub const fn from_code(code: i32) -> Option<Self> {
                match code {
                    $( $code => Some(Self::$variant), )*
                    _ => None,
                }
            }

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i32 {
                match self {
                    $( Self::$variant => $code, )*
                }
            }

            /// Its name, in capitals; RocketMQ's where it has one.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$variant => $name, )*
                }
            }
        }

        impl From<$table> for i32 {
            fn from(code: $table) -> Self {
                code.code()
            }
        }

        impl std::fmt::Display for $table {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{} ({})", self.name(), self.code())
            }
        }
    };
}
use codes;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_finds_its_way_back() {
        for &code in RequestCode::ALL {
            assert_eq!(RequestCode::from_code(code.code()), Some(code));
        }
        for &code in ResponseCode::ALL {
            assert_eq!(ResponseCode::from_code(code.code()), Some(code));
        }
    }

    #[test]
    fn the_tables_are_complete() {
        let is_ours = |code: &&RequestCode| RequestCode::OURS.contains(&code.code());
        assert_eq!(RequestCode::ALL.iter().filter(|code| !is_ours(code)).count(), 169);
        assert_eq!(RequestCode::ALL.iter().filter(is_ours).count(), 7);
        assert_eq!(ResponseCode::ALL.len(), 68);
    }

    #[test]
    fn names_and_numbers_are_those_of_rocketmq() {
        assert_eq!(RequestCode::SendMessageV2.code(), 310);
        assert_eq!(RequestCode::GetRouteinfoByTopic.to_string(), "GET_ROUTEINFO_BY_TOPIC (105)");
        assert_eq!(RequestCode::PopMessage.code(), 200_050);
        assert_eq!(ResponseCode::RpcTimeOut.code(), -1006);
        assert_eq!(
            ResponseCode::RequestCodeNotSupported.to_string(),
            "REQUEST_CODE_NOT_SUPPORTED (3)"
        );
    }

    #[test]
    fn ours_fit_into_a_binary_header() {
        assert!(i16::try_from(*RequestCode::OURS.end()).is_ok());
    }

    #[test]
    fn numbers_of_others_have_no_name() {
        for code in [i32::MIN, -1, 0, 9, 50, 54, 99_999, i32::MAX] {
            assert_eq!(RequestCode::from_code(code), None);
        }
        assert_eq!(ResponseCode::from_code(5), None);
    }
}
