//! Which servers can be trusted with progress requests.

use std::time::Duration;

use etcd_client::{Client, ConnectOptions};

/// The first patch releases whose progress answers never overtake events, by minor release of 3.
const SOUND_SINCE: &[(u32, u32)] = &[(4, 31), (5, 13)];

/// Whether every member can be trusted. One that does not answer might be old.
pub(super) async fn reports_progress(endpoints: &[String], options: &ConnectOptions, timeout: Duration) -> bool {
    for endpoint in endpoints {
        match tokio::time::timeout(timeout, version(endpoint, options)).await {
            Ok(Ok(version)) if is_sound(&version) => {}
            Ok(Ok(version)) => {
                tracing::info!(endpoint, version, "etcd cannot report progress reliably, fresh reads go through to it");
                return false;
            }
            _ => return false,
        }
    }
    true
}

async fn version(endpoint: &str, options: &ConnectOptions) -> Result<String, etcd_client::Error> {
    let client = Client::connect([endpoint], Some(options.clone())).await?;
    Ok(client.maintenance_client().status().await?.version().to_owned())
}

fn is_sound(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map(|n| n.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor)), Some(Some(patch))) = (numbers.next(), numbers.next(), numbers.next())
    else {
        return false;
    };
    if major != 3 {
        return major > 3;
    }
    match SOUND_SINCE.iter().find(|(since, _)| *since == minor) {
        Some((_, since)) => patch >= *since,
        None => minor > 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (version, sound) in [
            ("3.4.23", false),
            ("3.4.31", true),
            ("3.5.12", false),
            ("3.5.13", true),
            ("3.6.0", true),
            ("3.6.0-rc.1", true),
            ("3.3.27", false),
            ("4.0.0", true),
            ("nonsense", false),
        ] {
            assert_eq!(is_sound(version), sound, "{version}");
        }
    }
}
