//! A small cache of upstream's answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{LowerName, RData, RecordType};
use indexmap::IndexMap;
use tokio::time::Instant;

/// How many answers are kept.
const CAPACITY: usize = 10_000;
/// The longest that an answer is kept.
const LONGEST: Duration = Duration::from_secs(30);

/// What an answer is for: the question, and whether signatures were asked for.
pub(crate) type Question = (LowerName, RecordType, bool);

#[derive(Debug)]
struct Kept {
    answer: Arc<Message>,
    since: Instant,
    until: Instant,
}

/// Answers by question, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Cache(Mutex<IndexMap<Question, Kept>>);

impl Cache {
    /// An answer and how many seconds ago it was given.
    pub(crate) fn get(&self, question: &Question, now: Instant) -> Option<(Arc<Message>, u32)> {
        let kept = self.lock();
        let kept = kept.get(question).filter(|kept| kept.until > now)?;
        let age = u32::try_from(now.duration_since(kept.since).as_secs()).unwrap_or(u32::MAX);
        Some((kept.answer.clone(), age))
    }

    pub(crate) fn put(&self, question: Question, answer: Arc<Message>, now: Instant) {
        let Some(lifetime) = lifetime(&answer) else { return };
        let mut kept = self.lock();
        kept.shift_remove(&question);
        while kept.len() >= CAPACITY {
            // Removing in order would move all others; the one in this place is as good as the oldest.
            kept.swap_remove_index(0);
        }
        kept.insert(question, Kept { answer, since: now, until: now + lifetime });
    }

    fn lock(&self) -> MutexGuard<'_, IndexMap<Question, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long an answer may be kept; `None` for failures and for answers that hold for no time.
fn lifetime(answer: &Message) -> Option<Duration> {
    if answer.metadata.truncation
        || !matches!(answer.metadata.response_code, ResponseCode::NoError | ResponseCode::NXDomain)
    {
        return None;
    }
    let seconds = if answer.answers.is_empty() {
        answer.authorities.iter().find_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
            _ => None,
        })?
    } else {
        answer.answers.iter().map(|record| record.ttl).min()?
    };
    Some(Duration::from_secs(seconds.into()).min(LONGEST)).filter(|lifetime| !lifetime.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{MessageType, OpCode};
    use hickory_proto::rr::rdata::A;
    use hickory_proto::rr::{Name, Record};

    fn answer(ttl: u32) -> Arc<Message> {
        let mut answer = Message::new(1, MessageType::Response, OpCode::Query);
        answer.add_answer(Record::from_rdata(Name::root(), ttl, RData::A(A([192, 0, 2, 1].into()))));
        Arc::new(answer)
    }

    fn question(name: &str) -> Question {
        (LowerName::from(Name::from_ascii(name).unwrap()), RecordType::A, false)
    }

    #[tokio::test(start_paused = true)]
    async fn answers_age_and_expire() {
        let cache = Cache::default();
        cache.put(question("a."), answer(10), Instant::now());
        cache.put(question("long."), answer(10_000), Instant::now());
        cache.put(question("never."), answer(0), Instant::now());
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(cache.get(&question("a."), Instant::now()).unwrap().1, 9);
        assert!(cache.get(&question("never."), Instant::now()).is_none());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(cache.get(&question("a."), Instant::now()).is_none());
        assert!(cache.get(&question("long."), Instant::now()).is_some());
        tokio::time::advance(LONGEST).await;
        assert!(cache.get(&question("long."), Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_cache_is_bounded() {
        let cache = Cache::default();
        for n in 0..CAPACITY + 10 {
            cache.put(question(&format!("n{n}.")), answer(10), Instant::now());
        }
        assert_eq!(cache.lock().len(), CAPACITY);
    }
}
