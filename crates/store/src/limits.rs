//! Bounds on keys and values, the same for every engine.

use crate::Error;

/// The longest key, in bytes.
pub(crate) const MAX_KEY: usize = 4096;

/// The largest value, in bytes, unless configured: a little less than what an etcd server takes in one request.
pub(crate) const MAX_VALUE: usize = (3 << 19) - 8192;

pub(crate) fn check(key: &str, value: &[u8], limit: usize) -> Result<(), Error> {
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Error::BadKey { size: key.len(), limit: MAX_KEY });
    }
    if value.len() > limit {
        return Err(Error::TooLarge { key: key.to_owned(), size: value.len(), limit });
    }
    Ok(())
}
