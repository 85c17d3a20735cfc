//! What enters by itself: messages of listeners, answered once they are on disk; and what could not be taken in, retried.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::net::TcpListener;

use super::{Edge, now_secs, records::Records};
use crate::{
    api::mllp,
    audit::Act,
    error::EdgeError,
    ingest::{self, ack, ack::Outcome},
    model::{At, Form, Issue, Item, Severity, ids},
    quarantine::Entry,
    standardize,
};

/// Control ids that are remembered to notice one that comes again with other bytes.
const REMEMBERED: usize = 65_536;

/// What became of a message.
#[derive(Debug)]
enum Taken {
    Stored,
    Unusable(Vec<Issue>),
    Refused(Vec<Issue>),
}

impl Taken {
    fn outcome(&self) -> Outcome<'_> {
        match self {
            Taken::Stored => Outcome::Stored,
            Taken::Unusable(issues) => Outcome::Unusable(issues),
            Taken::Refused(issues) => Outcome::Refused(issues),
        }
    }
}

/// Control ids seen lately, by hash: the item that came under each.
#[derive(Debug, Default)]
pub(super) struct ControlIds(Mutex<HashMap<[u8; 16], [u8; 16]>>);

impl ControlIds {
    /// Whether another item came under this control id before.
    fn is_doubled(&self, item: &Item) -> bool {
        let Some(control_id) = ingest::hl7v2::control_id(&item.bytes) else { return false };
        let key = ids::item_id(&item.source, control_id);
        let mut seen = self.0.lock().expect("no holder panics");
        if seen.len() >= REMEMBERED {
            seen.clear();
        }
        seen.insert(key, item.item_id).is_some_and(|before| before != item.item_id)
    }
}

impl Records {
    /// Takes what one frame held, and says what became of the worst of it.
    fn take(&self, source: &str, bytes: &[u8]) -> Taken {
        if let Err(issue) = ack::check_header(bytes) {
            return Taken::Refused(vec![issue]);
        }
        let items = match ingest::read(source, Some(Form::Hl7v2), bytes) {
            Ok(items) => items,
            Err(issue) => return Taken::Refused(vec![issue]),
        };
        let mut worst = Taken::Stored;
        for item in items {
            match self.take_item(&item) {
                Ok(Ok(())) => {}
                Ok(Err(issues)) if issues.last().is_some_and(ack::is_rejected) => {
                    return Taken::Refused(issues);
                }
                Ok(Err(issues)) => {
                    let kept =
                        self.quarantine.put(&item, &issues, now_secs(), &self.maps.versions());
                    match kept {
                        Ok(entry) => tracing::warn!(item = entry.item, "an item is in quarantine"),
                        Err(error) => return Taken::Refused(vec![storage(&error)]),
                    }
                    worst = Taken::Unusable(issues);
                }
                Err(error) => return Taken::Refused(vec![storage(&error)]),
            }
        }
        worst
    }

    /// Takes one item in; the inner error is why it cannot be.
    fn take_item(&self, item: &Item) -> Result<Result<(), Vec<Issue>>, EdgeError> {
        let mut standardized = match standardize::standardize(item, &self.maps) {
            Ok(standardized) => standardized,
            Err(issues) => return Ok(Err(issues)),
        };
        if self.control_ids.is_doubled(item) {
            let text = "another message came under this control id; both are kept";
            let at = At::path("MSH-10");
            let issue =
                Issue::new(Severity::Warning, "duplicate", "duplicate-control-id", at, text);
            standardized.issues.push(issue);
        }
        self.intake.accept(standardized).map(|_| Ok(()))
    }
}

/// The issue that a sender is told when the stores do not take its message: it should send again.
fn storage(error: &EdgeError) -> Issue {
    tracing::error!(%error, "a message could not be stored");
    let text = "the store does not accept messages now; send again later";
    Issue::new(Severity::Fatal, "transient", "storage", At::default(), text)
}

impl Edge {
    /// Listens for HL7 v2 at an address; `source` is the name under which its senders are known.
    ///
    /// # Errors
    /// [`EdgeError::Input`] if the address cannot be listened on.
    pub(super) async fn listen_mllp(
        &self,
        source: &str,
        addr: SocketAddr,
    ) -> Result<(), EdgeError> {
        let cannot = |error: std::io::Error| {
            let what = format!("cannot listen on {addr}: {error}");
            EdgeError::input(what, "--mllp.addr", "choose another port, or stop what uses this one")
        };
        let listener = TcpListener::bind(addr).await.map_err(cannot)?;
        let addr = listener.local_addr().map_err(cannot)?;
        let source = format!("{}/{source}", self.inner.records.source());
        let edge = self.clone();
        // Answers are numbered from the start's clock on, so that no two of an edge are alike.
        let number = AtomicU64::new(now_secs() << 20);
        let take: mllp::Take = Arc::new(move |message| {
            let now = now_secs();
            let taken = edge.inner.records.take(&source, message);
            let number = format!("{:X}", number.fetch_add(1, Ordering::Relaxed));
            ack::acknowledge(message, taken.outcome(), &number, &ack::time_of(now))
        });
        self.spawn("mllp", mllp::serve(listener, take, mllp::Waits::default(), self.stopping()));
        self.inner.mllp.lock().expect("no holder panics").push(addr);
        Ok(())
    }

    /// Where it listens for HL7 v2.
    pub fn mllp_addrs(&self) -> Vec<SocketAddr> {
        self.inner.mllp.lock().expect("no holder panics").clone()
    }

    /// What lies in quarantine, the oldest first.
    ///
    /// # Errors
    /// Storage errors.
    pub fn list_quarantine(&self) -> Result<Vec<Entry>, EdgeError> {
        self.inner.records.quarantine.list()
    }

    /// Tries items again, or, without ids, those that were last tried with another parser, mapping or terminology.
    ///
    /// # Errors
    /// [`EdgeError::Input`] for an id that does not wait there, storage errors.
    pub async fn retry_quarantine(
        &self,
        items: Option<Vec<String>>,
    ) -> Result<Vec<Entry>, EdgeError> {
        let edge = self.clone();
        let work = move || {
            let records = &edge.inner.records;
            let versions = records.maps.versions();
            let items = match items {
                Some(items) => items,
                None => {
                    let stale = records.quarantine.stale(&versions)?;
                    stale.into_iter().map(|entry| entry.item).collect()
                }
            };
            let retry = |item: &String| {
                let try_again = |item: &Item| records.take_item(item);
                records.quarantine.retry(item, now_secs(), &versions, try_again)
            };
            items.iter().map(retry).collect()
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| EdgeError::Internal(format!("the retry died: {e}")))?
    }

    /// Gives an item up, for a reason that stays; written down in the audit log first.
    ///
    /// # Errors
    /// [`EdgeError::Input`] without a reason or for an id that does not wait there, storage errors.
    pub fn discard_quarantine(
        &self,
        item: &str,
        by: &str,
        reason: &str,
    ) -> Result<Entry, EdgeError> {
        let records = &self.inner.records;
        records.quarantine.get(item)?;
        records.log_own(Act::Decide, "QUARANTINE_DISCARDED")?;
        records.quarantine.discard(item, by, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Keys;
    use crate::quarantine::State;

    const GOOD: &str =
        "MSH|^~\\&|LAB|A|EDGE|B|20240305||ADT^A01^ADT_A01|77|P|2.5.1\rPID|1||7^^^H^MR||Doe^Jane\r";

    fn records() -> (tempfile::TempDir, Records) {
        let dir = tempfile::tempdir().expect("folder");
        let keys = Keys::create(dir.path(), None).expect("keys");
        let records = Records::open(
            dir.path(),
            &keys,
            crate::onchain::InstId::default(),
            crate::standardize::Tables::shipped(),
        );
        (dir, records.expect("opens"))
    }

    #[test]
    fn what_a_frame_held_is_stored_quarantined_or_refused() {
        let (_dir, records) = records();
        let rule = |message: &str| match records.take("s", message.as_bytes()) {
            Taken::Stored => ("AA", ""),
            Taken::Unusable(issues) => ("AE", issues.last().expect("a reason").rule),
            Taken::Refused(issues) => ("AR", issues.last().expect("a reason").rule),
        };
        assert_eq!(rule(GOOD), ("AA", ""));
        assert_eq!(rule(GOOD), ("AA", ""), "a repeated item");
        let other = format!("{GOOD}PID|2||8^^^H^MR\r");
        assert_eq!(rule(&other), ("AE", "hl7v2-multi-patient"));
        assert_eq!(rule(&GOOD.replace("PID|1||7^^^H^MR", "PV1|1|I")), ("AE", "hl7v2-no-pid"));
        assert_eq!(rule(&GOOD.replace("7^^^H^MR", "")), ("AE", "hl7v2-no-pid3"));
        assert_eq!(rule(&GOOD.replace("ADT^A01^ADT_A01", "XYZ^Z99")), ("AR", "hl7v2-message-type"));
        assert_eq!(rule(&GOOD.replace("|2.5.1", "|3.1")), ("AR", "hl7v2-version"));
        assert_eq!(rule(&GOOD.replace("|P|", "|Q|")), ("AR", "hl7v2-processing-id"));
        assert_eq!(rule("MSH|"), ("AR", "hl7v2-separators"));
        assert_eq!(rule(""), ("AR", "empty"));
        let kept = records.quarantine.list().expect("listed");
        assert_eq!(kept.len(), 3, "what was answered AE is kept, what was answered AR is not");
        assert!(kept.iter().all(|entry| entry.state == State::New && entry.attempts == 1));
        assert_eq!(rule(&other), ("AE", "hl7v2-multi-patient"));
        assert_eq!(records.quarantine.list().expect("listed").len(), 3, "one entry an item");
    }

    #[test]
    fn a_control_id_with_other_bytes_is_noticed() {
        let seen = ControlIds::default();
        let item = |text: &str| Item::new("s", Form::Hl7v2, text.as_bytes().to_vec());
        assert!(!seen.is_doubled(&item(GOOD)));
        assert!(!seen.is_doubled(&item(GOOD)), "the same bytes");
        assert!(seen.is_doubled(&item(&GOOD.replace("Jane", "Joan"))));
        assert!(!seen.is_doubled(&item(&GOOD.replace("|77|", "|78|"))));
        assert!(!seen.is_doubled(&item("MSH")));
    }
}
