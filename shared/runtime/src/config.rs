//! Configuration: a TOML file, then the environment, read so that every mistake is reported at once.
//!
//! A section is a small struct with a `read(fields: &mut Fields) -> Option<Self>`: it asks for all its
//! keys first and gives up (`?`) only after that, so that no mistake hides another one.

mod fields;
mod mistakes;
mod sections;
mod settings;

pub use fields::Fields;
pub use mistakes::{ConfigMistakes, Mistake};
pub use sections::{AdminConfig, DrainConfig, LogConfig, LogFormat, Secret, ServeConfig};
pub use settings::Settings;
