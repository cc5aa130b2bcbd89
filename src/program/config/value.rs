//! Values of the configuration, checked when they are read, so that an error can say where they stand.

use kaspector_delivery::OutputSpec;
use kaspector_live::{Filter, FilterError};
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// Why a text is no such value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

/// A length of time in whole seconds, such as `10s`, `5m`, `1h` or `1d`, between two bounds in seconds. A bare number means seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span<const MIN_S: u64, const MAX_S: u64>(pub Duration);

/// A number of bytes, such as `64KiB`, `8MiB` or `1GiB`, between two bounds. `K`, `M` and `G` say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size<const MIN: u64, const MAX: u64>(pub u64);

/// A whole number between two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<const MIN: u64, const MAX: u64>(pub u64);

const SPAN_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];
const SIZE_UNITS: [(&str, u64); 7] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10), ("B", 1)];

/// The number before one of `units`, times that unit.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let split = text.find(|character: char| !character.is_ascii_digit())?;
    let (digits, unit) = text.split_at_checked(split)?;
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start()).map(|&(_, factor)| factor)?;
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// `number` in the largest unit that leaves no rest.
fn in_unit(number: u64, units: &[(&str, u64)]) -> String {
    let unit = units.iter().find(|&&(_, factor)| number > 0 && number.is_multiple_of(factor));
    unit.map_or_else(|| number.to_string(), |(name, factor)| format!("{}{name}", number / factor))
}

impl<const MIN_S: u64, const MAX_S: u64> FromStr for Span<MIN_S, MAX_S> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let seconds = text.parse().ok().or_else(|| with_unit(text, &SPAN_UNITS));
        let seconds = seconds.filter(|seconds| (MIN_S..=MAX_S).contains(seconds));
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(|| {
            let (least, most) = (in_unit(MIN_S, &SPAN_UNITS), in_unit(MAX_S, &SPAN_UNITS));
            ValueError(format!(
                "\"{text}\": expected a time from {least} to {most}, with s, m, h or d behind the number"
            ))
        })
    }
}

impl<const MIN_S: u64, const MAX_S: u64> fmt::Display for Span<MIN_S, MAX_S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&in_unit(self.0.as_secs(), &SPAN_UNITS))
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Size<MIN, MAX> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        with_unit(text, &SIZE_UNITS).filter(|bytes| (MIN..=MAX).contains(bytes)).map(Self).ok_or_else(|| {
            let (least, most) = (in_unit(MIN, &SIZE_UNITS), in_unit(MAX, &SIZE_UNITS));
            ValueError(format!(
                "\"{text}\": expected a size from {least} to {most}, with KiB, MiB or GiB behind the number"
            ))
        })
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Size<MIN, MAX> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&in_unit(self.0, &SIZE_UNITS))
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Count<MIN, MAX> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text.parse().ok().filter(|number| (MIN..=MAX).contains(number));
        number.map(Self).ok_or_else(|| ValueError(format!("\"{text}\": expected a whole number from {MIN} to {MAX}")))
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Count<MIN, MAX> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Where HTTP is served: address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress(pub SocketAddr);

impl FromStr for ListenAddress {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse()
            .map(Self)
            .map_err(|_| ValueError(format!("\"{text}\": expected ADDRESS:PORT, such as 127.0.0.1:9317 or [::1]:9317")))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Name of a network interface, as the kernel takes one: 1 to 15 bytes, no slash, no space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceName(pub String);

impl FromStr for InterfaceName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_one = (1..16).contains(&text.len())
            && !matches!(text, "." | "..")
            && text.chars().all(|character| !character.is_whitespace() && !character.is_control() && character != '/');
        if is_one {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError(format!("\"{text}\": expected the name of an interface, such as eth1, of at most 15 bytes")))
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A filter expression that libpcap takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterText(pub String);

impl FromStr for FilterText {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Filter::new(text).map(|_| Self(text.to_owned()))
    }
}

impl fmt::Display for FilterText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// One output: a text as after `--output`, or a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// What it means.
    pub spec: OutputSpec,
    /// How it was said, without what may be secret.
    pub said: toml::Value,
}

impl FromStr for Output {
    type Err = <OutputSpec as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { spec: text.parse()?, said: toml::Value::String(text.to_owned()) })
    }
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Output;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an output such as \"file:/var/log/kaspector/eve.json\", or a table with a kind")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Output, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Output, A::Error> {
                let mut table = toml::Table::deserialize(MapAccessDeserializer::new(map))?;
                let spec: OutputSpec =
                    table.clone().try_into().map_err(|error: toml::de::Error| de::Error::custom(error.message()))?;
                spec.check().map_err(|what| de::Error::custom(format!("output {spec}: {what}")))?;
                // A query may carry a key.
                if let Some(toml::Value::String(url)) = table.get_mut("url") {
                    url.truncate(url.find(['?', '#']).unwrap_or(url.len()));
                }
                Ok(Output { spec, said: toml::Value::Table(table) })
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Several<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de> + FromStr<Err: fmt::Display>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrList<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de> + FromStr<Err: fmt::Display>> Visitor<'de> for OneOrList<T> {
            type Value = Several<T>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text, or a list")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Several<T>, E> {
                text.parse().map(|one| Several(vec![one])).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Several<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Several(values))
            }
        }
        deserializer.deserialize_any(OneOrList(std::marker::PhantomData))
    }
}

/// Reads a text or a whole number through `FromStr`.
fn from_text<'de, T: FromStr<Err: fmt::Display>, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<T, D::Error> {
    struct Text<T>(&'static str, std::marker::PhantomData<T>);
    impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str(self.0)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
            self.visit_str(&number.to_string())
        }
    }
    deserializer.deserialize_any(Text(expected, std::marker::PhantomData))
}

/// Read from and written as text; a whole number is taken as its digits.
macro_rules! as_text {
    ($type:ty, $expected:literal $(, const $bound:ident)*) => {
        impl<'de, $(const $bound: u64),*> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                from_text(deserializer, $expected)
            }
        }
        impl<$(const $bound: u64),*> Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}
as_text!(Span<MIN, MAX>, "a time such as \"10s\", \"5m\" or \"1d\"", const MIN, const MAX);
as_text!(Size<MIN, MAX>, "a size such as \"64KiB\" or \"8MiB\"", const MIN, const MAX);
as_text!(ListenAddress, "ADDRESS:PORT, such as \"127.0.0.1:9317\"");
as_text!(InterfaceName, "the name of an interface");
as_text!(FilterText, "a libpcap filter expression");

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Count<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a whole number")
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Count<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// A closed list of names.
macro_rules! choice {
    ($(#[$of_type:meta])* $type:ident { $($(#[$of_variant:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$of_type])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[$of_variant])* $variant,)+ }

        impl $type {
            /// Their names, as configuration and command line have them.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }

        impl FromStr for $type {
            type Err = ValueError;

            fn from_str(text: &str) -> Result<Self, ValueError> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(ValueError(format!("\"{text}\": expected one of: {}", Self::NAMES.join(", ")))),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.name())
            }
        }

        as_text!($type, "one of the names that the documentation lists");
    };
}

choice!(
    /// Whether the sensor locks itself in.
    Sandboxing {
        /// As far as the kernel can.
        Auto = "auto",
        /// Or else it does not start.
        On = "on",
        /// Not at all.
        Off = "off",
    }
);

choice!(
    /// Suricata version whose EVE schema the alerts keep to.
    EveVersion {
        /// Suricata 7; also satisfies the schema of 8.
        V7 = "7",
        /// Suricata 8.
        V8 = "8",
    }
);

choice!(
    /// The least that is logged.
    LogLevel {
        /// What stops the sensor, or loses something.
        Error = "error",
        /// What somebody should look at.
        Warn = "warn",
        /// Starts, stops, reloads, counters.
        Info = "info",
        /// Each connection of the control plane.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
);

choice!(
    /// What the log looks like.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object for each line.
        Json = "json",
    }
);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    type Minute = Span<1, 86_400>;
    type Block = Size<4096, { 1 << 30 }>;

    #[test]
    fn times_and_sizes_have_units() {
        for (text, seconds) in
            [("1s", 1), ("7", 7), ("90s", 90), ("5m", 300), ("24h", 86_400), ("1d", 86_400), ("1 h", 3600)]
        {
            assert_eq!(text.parse(), Ok(Span::<1, 86_400>(Duration::from_secs(seconds))), "{text}");
        }
        for (text, bytes) in [("4096B", 4096), ("64KiB", 65_536), ("8M", 8 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(text.parse(), Ok(Size::<4096, { 1 << 30 }>(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_out_of_range_or_without_unit_is_refused() {
        for text in ["", "s", "0", "0s", "2d", "-1s", "1.5h", "10ss", "1w", "18446744073709551615d", "9é", "é"] {
            assert!(text.parse::<Minute>().is_err(), "{text}");
        }
        for text in ["", "KiB", "100", "4095B", "2GiB", "99999999999999999999K", "8 Mib"] {
            assert!(text.parse::<Block>().is_err(), "{text}");
        }
        let said = "2d".parse::<Minute>().unwrap_err().to_string();
        assert_eq!(said, "\"2d\": expected a time from 1s to 1d, with s, m, h or d behind the number");
        assert!("0".parse::<Count<1, 64>>().is_err() && "65".parse::<Count<1, 64>>().is_err());
    }

    #[test]
    fn interfaces_have_names_that_the_kernel_takes() {
        for good in ["eth1", "br-lan", "eth0.100", "veth@x"] {
            assert!(good.parse::<InterfaceName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "sixteen-bytes-xx", "a\n"] {
            assert!(bad.parse::<InterfaceName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(seconds in 1u64..=86_400, bytes in 4096u64..=1 << 30) {
            let span = Span::<1, 86_400>(Duration::from_secs(seconds));
            prop_assert_eq!(span.to_string().parse(), Ok(span));
            let size = Size::<4096, { 1 << 30 }>(bytes);
            prop_assert_eq!(size.to_string().parse(), Ok(size));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = (text.parse::<Minute>(), text.parse::<Block>(), text.parse::<Count<1, 9>>());
            let _ = (text.parse::<InterfaceName>(), text.parse::<ListenAddress>(), text.parse::<LogLevel>());
        }
    }
}
