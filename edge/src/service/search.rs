//! Searching without seeing: a question goes to every edge, a bucket of patients comes back (`protocol.md` 12).
//!
//! The answer to "how many patients" is `lt11` below eleven (none included), else a range in steps of 1-2-5. Bucket and
//! boolean mode are served; summaries and buckets under a basis come later, as does the guard against differencing two
//! cohorts, so an edge answers at most 20 distinct questions of one institution in ten minutes and 200 a day.

use std::{collections::HashMap, sync::Mutex};

use alloy_primitives::{FixedBytes, keccak256};
use contracts::codes::K;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Edge, facts::Signed, facts::unreachable, now_secs};
use crate::{
    access::{check_chain, check_requester, refusal, request::canonical_bytes},
    delivery::random_bytes,
    error::EdgeError,
    onchain::InstId,
    peer::{Ground, signature::Basis},
};

/// Purpose a search states: research, the widest that project-lane searches serve.
const SEARCH_PURPOSE: u16 = contracts::codes::purpose::RESEARCH;
/// Questions a day, and distinct ones in ten minutes.
const A_DAY: u32 = 200;
const DISTINCT: usize = 20;
const DAY: u64 = 86_400;
const TEN_MINUTES: u64 = 600;
/// Terms of one question at most.
const MAX_TERMS: usize = 16;

/// One term: a code, or words that each edge expands for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Term {
    /// A code of a system.
    Code {
        /// The system, a URI.
        system: String,
        /// The code.
        code: String,
    },
    /// Words.
    Text {
        /// As a person typed them.
        text: String,
    },
}

/// How an answer may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Yes from eleven patients up.
    Boolean,
    /// A range.
    Bucket,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchQuery {
    /// 16 random bytes.
    pub query_id: FixedBytes<16>,
    /// How the answer may look.
    pub mode: Mode,
    /// Every one must be found in a record, affirmed.
    pub all: Vec<Term>,
    /// None of these.
    #[serde(default)]
    pub none: Vec<Term>,
    /// Record kinds; null for all.
    #[serde(default)]
    pub kinds: Option<Vec<u16>>,
    /// Not older than.
    #[serde(default)]
    pub from: Option<i64>,
    /// Not younger than.
    #[serde(default)]
    pub to: Option<i64>,
    /// Hits wanted; at most 50. Not used by these modes.
    #[serde(default)]
    pub limit: u32,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchAnswer {
    /// The question's id.
    pub query_id: FixedBytes<16>,
    /// At least eleven patients match.
    pub yes: bool,
    /// The range, in bucket mode.
    pub bucket: Option<String>,
}

/// What an edge answered, or why it did not.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerAnswer {
    /// Whose edge.
    pub institution: InstId,
    /// Its name on chain.
    pub name: String,
    /// The range of patients; `None` if it did not answer.
    pub bucket: Option<String>,
    /// Why it did not.
    pub error: Option<String>,
}

/// The range a count of patients falls into: `lt11`, then steps of 1-2-5.
pub fn bucket(patients: u64) -> String {
    if patients < K {
        return "lt11".into();
    }
    let mut low = 10_u64;
    for step in [2_u64, 5, 10].iter().cycle() {
        let decade = 10_u64.pow(low.ilog10());
        let high = decade.saturating_mul(*step);
        if patients <= high || high >= u64::MAX / 10 {
            return format!("{}-{high}", low + 1);
        }
        low = high;
    }
    unreachable!("the steps go on for ever")
}

/// What each institution asked.
#[derive(Debug, Default)]
pub struct SearchBudget {
    asked: Mutex<HashMap<InstId, Asked>>,
}

#[derive(Debug, Default)]
struct Asked {
    day: u64,
    count: u32,
    recent: HashMap<[u8; 32], u64>,
}

impl SearchBudget {
    /// Counts a question; `false` once the day's or the ten minutes' are used up. A repeated question counts for the day
    /// only.
    pub fn charge(&self, party: InstId, question: [u8; 32], now: u64) -> bool {
        let mut asked = self.asked.lock().expect("no holder panics");
        let entry = asked.entry(party).or_default();
        if entry.day != now / DAY {
            *entry = Asked { day: now / DAY, ..Asked::default() };
        }
        entry.recent.retain(|_, at| *at + TEN_MINUTES > now);
        if entry.count >= A_DAY
            || (entry.recent.len() >= DISTINCT && !entry.recent.contains_key(&question))
        {
            return false;
        }
        entry.count += 1;
        entry.recent.insert(question, now);
        true
    }
}

impl Edge {
    /// Asks every other edge how many patients match some words.
    ///
    /// # Errors
    /// [`EdgeError::Internal`] only; an edge that is away or refuses is an answer that says so.
    pub async fn search_peers(&self, words: &str) -> Result<Vec<PeerAnswer>, EdgeError> {
        let query = SearchQuery {
            query_id: FixedBytes(random_bytes()?),
            mode: Mode::Bucket,
            all: vec![Term::Text { text: words.to_owned() }],
            none: Vec::new(),
            kinds: None,
            from: None,
            to: None,
            limit: 50,
        };
        let params =
            serde_json::to_value(&query).map_err(|e| EdgeError::Internal(e.to_string()))?;
        let others: Vec<(InstId, String)> = self.inner.follower.read(|tables| {
            let others = tables
                .institutions
                .iter()
                .filter(|(id, row)| **id != self.inner.institution && !row.endpoint.is_empty());
            others.map(|(id, row)| (*id, row.name.clone())).collect()
        });
        let mut answers = Vec::new();
        for (institution, name) in others {
            let (bucket, error) = match self.ask(institution, params.clone(), &query).await {
                Ok(answer) => (answer.bucket, None),
                Err(error) => (None, Some(error.to_string())),
            };
            answers.push(PeerAnswer { institution, name, bucket, error });
        }
        Ok(answers)
    }

    async fn ask(
        &self,
        institution: InstId,
        params: Value,
        query: &SearchQuery,
    ) -> Result<SearchAnswer, EdgeError> {
        let peer = self.peer_of(institution)?;
        let ground = Ground { basis: Basis::Search, purpose: SEARCH_PURPOSE };
        let answer =
            self.inner.peers.call(&peer, ground, "peer_search", params, now_secs()).await?;
        let answer: SearchAnswer = serde_json::from_value(answer).map_err(|e| {
            EdgeError::peer(&peer.endpoint, format!("its answer does not read: {e}"))
        })?;
        if answer.query_id != query.query_id {
            return Err(EdgeError::peer(&peer.endpoint, "it answered another question"));
        }
        Ok(answer)
    }

    /// Answers a question of another edge.
    pub(crate) async fn answer_search(
        &self,
        signed: &Signed,
        query: SearchQuery,
    ) -> Result<SearchAnswer, EdgeError> {
        if signed.parts.basis != Basis::Search {
            return Err(refusal::BASIS_UNKNOWN.into());
        }
        if query.all.is_empty() || query.all.len() + query.none.len() > MAX_TERMS {
            return Err(EdgeError::input(
                "a question has 1 to 16 terms, at least one in \"all\"",
                "peer_search",
                "name what the records must hold",
            ));
        }
        let party =
            self.party_facts(signed.party, signed.parts.actor).await.map_err(unreachable)?;
        check_requester(&party)?;
        let question = SearchQuery { query_id: FixedBytes::ZERO, ..query.clone() };
        let digest = keccak256(canonical_bytes(&question)?);
        if !self.inner.searches.charge(signed.party, digest.0, now_secs()) {
            return Err(refusal::QUOTA_EXCEEDED.into());
        }
        check_chain(&self.chain_facts().await.map_err(unreachable)?)?;
        self.inner.records.log_search(signed)?;
        let patients = self.inner.records.count_patients(&query)?;
        Ok(SearchAnswer {
            query_id: query.query_id,
            yes: patients >= K,
            bucket: (query.mode == Mode::Bucket).then(|| bucket(patients)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_go_in_steps_of_one_two_five() {
        for (patients, range) in [
            (0, "lt11"),
            (10, "lt11"),
            (11, "11-20"),
            (20, "11-20"),
            (21, "21-50"),
            (50, "21-50"),
            (51, "51-100"),
            (101, "101-200"),
            (500, "201-500"),
            (501, "501-1000"),
            (1_001, "1001-2000"),
            (4_999, "2001-5000"),
            (10_000, "5001-10000"),
            (10_001, "10001-20000"),
        ] {
            assert_eq!(bucket(patients), range, "{patients}");
        }
        assert!(!bucket(u64::MAX).is_empty());
    }

    #[test]
    fn a_budget_counts_questions_and_distinct_ones() {
        let budget = SearchBudget::default();
        let party = FixedBytes([1; 16]);
        for n in 0..20_u8 {
            assert!(budget.charge(party, [n; 32], 1_000));
        }
        assert!(!budget.charge(party, [99; 32], 1_001));
        assert!(budget.charge(party, [3; 32], 1_001), "a repeated question");
        assert!(budget.charge(party, [99; 32], 1_600), "ten minutes later");
        assert!(budget.charge(FixedBytes([2; 16]), [99; 32], 1_001));
        for _ in 0..200 {
            budget.charge(party, [3; 32], 2_000);
        }
        assert!(!budget.charge(party, [3; 32], 2_000));
        assert!(budget.charge(party, [3; 32], DAY));
    }

    #[test]
    fn terms_are_codes_or_words() {
        let text = r#"{"queryId":"0x00000000000000000000000000000001","mode":"bucket","all":[{"text":"heart attack"},{"system":"s","code":"c"}]}"#;
        let query: SearchQuery = serde_json::from_str(text).unwrap();
        assert_eq!(query.all[0], Term::Text { text: "heart attack".into() });
        assert_eq!(query.all[1], Term::Code { system: "s".into(), code: "c".into() });
        assert!(serde_json::from_str::<SearchQuery>(&text.replace("bucket", "all")).is_err());
    }
}
