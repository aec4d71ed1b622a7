//! What the figures were measured on.

use std::collections::BTreeMap;

use serde::Serialize;

use super::EngineKind;

/// What the figures were measured on, and with.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The processor, as the kernel calls it.
    pub processor: Option<String>,
    /// Operating system and architecture.
    pub platform: String,
    /// `release`, or `debug` if it was built without optimization.
    pub profile: &'static str,
    /// The version of each engine.
    pub versions: BTreeMap<EngineKind, String>,
}

impl Machine {
    /// This machine.
    pub fn this(versions: BTreeMap<EngineKind, String>) -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let profile = if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        };
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor(&cpuinfo),
            platform: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            profile,
            versions,
        }
    }
}

fn processor(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_has_a_name() {
        let text = "processor\t: 0\nmodel name\t: A Processor @ 2GHz\nmodel name\t: B\n";
        assert_eq!(processor(text).as_deref(), Some("A Processor @ 2GHz"));
        assert_eq!(processor("processor: 0\n"), None);
    }
}
