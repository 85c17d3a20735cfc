//! `msnet demo`: a chain, two hospitals and an inspectorate on one machine, and one story in seven steps.
//!
//! Each step is a function below, in the order in which it is told; read them first. They do what institutions do, with the
//! same calls: nothing is faked, the edges talk to each other over HTTP and to the chain by JSON-RPC. What a step leaves
//! for the next lies in the data folder, so a story that was cut off goes on where it stopped.

mod tell;
mod world;

use std::{
    collections::BTreeSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::{Duration, Instant, UNIX_EPOCH},
};

use alloy_primitives::{B256, FixedBytes};
use anyhow::{Context, Result, bail, ensure};
use contracts::codes::{duo, mode, purpose, verdict};
use edge::{
    access::request::{Code, Scope},
    error::EdgeError,
    ingest,
    model::{Handle, json::Value},
    service::{
        owner::DatasetSpec,
        requester::{AccessAsk, Pulled},
    },
    standardize::{self, Tables},
};
use serde::{Deserialize, Serialize};

use crate::leaks;
use tell::{Addresses, Step, Teller};
use world::World;

/// What the researchers of hospital B look for.
const CONDITION: &str = "type 2 diabetes";
/// HbA1c, which its patients have measured (LOINC).
const MEASUREMENT: (&str, &str) = ("http://loinc.org", "4548-4");
/// How long B asks for.
const GRANT_SECS: u64 = 180 * 86_400;
/// Reason code of a revocation: the purpose is over.
const REASON_PURPOSE: u8 = 1;
/// The whole of the demo ends within this time of Ctrl-C.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// The sample records of one hospital, as files.
struct Samples {
    hospital: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

/// The sample records of both, in every form the edge reads (`edge/data/demo`, credits in `edge/data/NOTICE`).
const SAMPLES: [Samples; 2] = [
    Samples {
        hospital: "hospital-a",
        files: &[
            ("adt-a01.hl7", include_bytes!("edge/data/demo/hospital-a/adt-a01.hl7")),
            ("follow-up.txt", include_bytes!("edge/data/demo/hospital-a/follow-up.txt")),
            ("oru-r01.hl7", include_bytes!("edge/data/demo/hospital-a/oru-r01.hl7")),
            (
                "type2-diabetes.ndjson",
                include_bytes!("edge/data/demo/hospital-a/type2-diabetes.ndjson"),
            ),
        ],
    },
    Samples {
        hospital: "hospital-b",
        files: &[
            ("adt-a04.hl7", include_bytes!("edge/data/demo/hospital-b/adt-a04.hl7")),
            (
                "history-and-physical.xml",
                include_bytes!("edge/data/demo/hospital-b/history-and-physical.xml"),
            ),
            ("oru-r01.hl7", include_bytes!("edge/data/demo/hospital-b/oru-r01.hl7")),
            (
                "synthea-patient.json",
                include_bytes!("edge/data/demo/hospital-b/synthea-patient.json"),
            ),
        ],
    },
];

/// A chain and two hospitals on this machine, and one story from records to a decided complaint.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct DemoArgs {
    /// End after the last step instead of staying up; exit 0 only if every step held.
    #[arg(long)]
    once: bool,
    /// One JSON object a step.
    #[arg(long)]
    json: bool,
    /// Keep the data here; a second start goes on with the same chain at the same head.
    #[arg(long, value_name = "DIR", env = "MSNET_DEMO_DATADIR")]
    datadir: Option<PathBuf>,
    /// Port of JSON-RPC; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    rpc_port: u16,
    /// Port of the first hospital's edge and page; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    north_port: u16,
    /// Port of the second hospital's edge; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    south_port: u16,
}

/// What earlier steps left for later ones: `story.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Story {
    steps: Vec<Step>,
    dataset: Option<FixedBytes<16>>,
    grant: Option<B256>,
    /// The value that step 5 alters, as it was, so that an interrupted story can put it back.
    measured: Option<String>,
}

/// Runs the demo until it ends or Ctrl-C.
///
/// # Errors
/// If a party does not start, or a step does not hold.
pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    let scratch = Scratch::of(&args);
    let teller = Teller::new(args.json);
    let mut signals = Box::pin(crate::interrupted());
    let world = tokio::select! {
        world = World::start(scratch.path(), &args) => world?,
        () = &mut signals => return interrupted(&args),
    };
    let outcome = tokio::select! {
        told = tell_all(&world, scratch.path(), &teller, &args) => told,
        () = &mut signals => interrupted(&args),
    };
    let stopped = tokio::time::timeout(STOP_WITHIN, world.stop()).await;
    outcome?;
    stopped.context("the demo did not stop in time; what it had announced is on disk")?
}

/// Ctrl-C is how a demo that stays up ends; a story that was to be told to its end did not hold.
fn interrupted(args: &DemoArgs) -> Result<()> {
    ensure!(
        !args.once,
        "interrupted before the story's end\n  do:  run it again; with --datadir it goes on where it stopped"
    );
    Ok(())
}

/// Tells what is not told yet, then stays up.
async fn tell_all(world: &World, folder: &Path, teller: &Teller, args: &DemoArgs) -> Result<()> {
    let mut story = Story::load(folder)?;
    teller.say(
        "Two hospitals and an inspectorate share a chain (finality by burial: with one signer a block is final at once).",
    )?;
    for (number, title) in (1..).zip(TITLES) {
        if let Some(step) = story.steps.iter().find(|step| step.step == number && step.held) {
            teller.step(step, true)?;
            continue;
        }
        let begun = Instant::now();
        let outcome = match number {
            1 => records_come_in(world, folder).await,
            2 => records_are_anchored(world, &mut story).await,
            3 => a_hit_is_found_and_asked_for(world, &mut story).await,
            4 => granted_delivered_proven(world, &story).await,
            5 => an_altered_value_is_found_out(world, &mut story, folder).await,
            6 => a_revoked_grant_is_refused(world, &story).await,
            _ => the_chain_names_nobody(world, folder),
        };
        let (held, told) = match &outcome {
            Ok(told) => (true, told.clone()),
            Err(error) => (false, format!("{error:#}")),
        };
        let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let step =
            Step { step: number, title: title.into(), told, block: world.head(), elapsed_ms, held };
        teller.step(&step, false)?;
        outcome.with_context(|| format!("step {number} of the story did not hold: {title}"))?;
        story.steps.push(step);
        story.save(folder)?;
    }
    if !args.once {
        teller.addresses(&Addresses {
            page: format!("http://{}/", world.north.addr()),
            other_page: format!("http://{}/", world.south.addr()),
            rpc: world.rpc_url(),
            chain_id: world.chain_id(),
            datadir: folder.display().to_string(),
        })?;
        std::future::pending::<()>().await;
    }
    Ok(())
}

const TITLES: [&str; 7] = [
    "Records come in",
    "Each hospital anchors its records",
    "South finds a hit in North and asks for access",
    "North grants, South pulls and proves",
    "An altered value is found out, a rule decides",
    "North revokes, South is refused",
    "The chain names nobody",
];

/// Step 1: what each hospital has is parsed, standardized to FHIR R4, its keywords extracted, sealed and indexed.
async fn records_come_in(world: &World, folder: &Path) -> Result<String> {
    let mut told = Vec::new();
    for (edge, Samples { hospital, files }) in [&world.north, &world.south].into_iter().zip(SAMPLES)
    {
        let samples = folder.join("samples").join(hospital);
        fs::create_dir_all(&samples)
            .with_context(|| format!("cannot make {}", samples.display()))?;
        for (name, bytes) in files {
            fs::write(samples.join(name), bytes).with_context(|| format!("cannot write {name}"))?;
        }
        let report = edge.ingest_folder(&samples, |_| {}).await?;
        ensure!(report.refused.is_empty(), "{} refused {:?}", edge.name(), report.refused);
        let (records, patients) = edge.own_counts()?;
        ensure!(records > 0, "{} holds no records", edge.name());
        told.push(format!(
            "{} sealed {records} FHIR records of {patients} patients from {} files",
            edge.name(),
            report.files
        ));
    }
    Ok(told.join("; "))
}

/// Step 2: one salted, padded Merkle batch a hospital, one transaction for all of its records; North publishes a dataset.
async fn records_are_anchored(world: &World, story: &mut Story) -> Result<String> {
    let mut told = Vec::new();
    for edge in [&world.north, &world.south] {
        match edge.anchor_now().await? {
            Some(batch) => {
                let gas = batch.sent.as_ref().map_or(0, |sent| sent.gas_used);
                told.push(format!(
                    "{} put {} records under one root of 2^{} leaves for {gas} gas",
                    edge.name(),
                    batch.records,
                    batch.size_log2
                ));
            }
            None => told.push(format!("{} had anchored before", edge.name())),
        }
    }
    let spec = DatasetSpec {
        title: "Adult chronic disease".into(),
        duo: duo::GENERAL_RESEARCH_USE | duo::ETHICS_APPROVAL,
        min_cohort: u16::try_from(contracts::codes::K).context("k fits")?,
        modes: mode::DELIVER,
    };
    story.dataset = Some(world.north.publish_dataset(spec).await?.dataset);
    Ok(told.join("; "))
}

/// Step 3: South asks every edge, sees a range and no record, and requests access for one purpose until a date.
async fn a_hit_is_found_and_asked_for(world: &World, story: &mut Story) -> Result<String> {
    let dataset = story.dataset.context("step 2 published no dataset")?;
    let answers = world.south.search_peers(CONDITION).await?;
    let hit = answers
        .iter()
        .find(|answer| answer.institution == world.north.institution())
        .context("North did not answer the search")?;
    let bucket =
        hit.bucket.as_deref().with_context(|| format!("North gave no range: {:?}", hit.error))?;
    ensure!(bucket != "lt11", "North answered that fewer than eleven patients match");
    let ask = AccessAsk {
        owner: world.north.institution(),
        dataset,
        purpose: purpose::RESEARCH,
        duo: duo::HEALTH_MEDICAL_BIOMEDICAL | duo::ETHICS_APPROVAL,
        valid_secs: GRANT_SECS,
        scope: scope(world, dataset),
        terms: world.south.default_terms(),
    };
    let requested = world.south.request_access(ask).await?;
    story.grant = Some(requested.grant_id);
    Ok(format!(
        "“{CONDITION}”: {} answered {bucket} patients, no record seen; South asks for health research (HRESCH), 180 days, \
         request {}",
        hit.name,
        short(requested.grant_id)
    ))
}

/// Step 4: North accepts; South pulls the ciphertext, signs the receipt, gets the key, proves every record.
async fn granted_delivered_proven(world: &World, story: &Story) -> Result<String> {
    let grant = story.grant.context("step 3 made no request")?;
    world.north.accept(grant).await?;
    let pulled = world.south.pull(grant).await?;
    ensure!(pulled.verdict == verdict::OK, "the delivery did not prove: {}", pulled.why);
    ensure!(!pulled.records.is_empty(), "the delivery was empty");
    world.south.acknowledge(pulled.delivery_id).await?;
    Ok(format!(
        "{} records in {} bytes of ciphertext; the key came after the receipt; every record proves against North's root",
        pulled.records.len(),
        pulled.size
    ))
}

/// Step 5: a value of North's is altered after anchoring and sealed again. South's check names the record, South complains,
/// and the contract decides from the two roots alone. The alteration is taken back at the end.
async fn an_altered_value_is_found_out(
    world: &World,
    story: &mut Story,
    folder: &Path,
) -> Result<String> {
    let (dataset, grant) = (story.dataset.context("no dataset")?, story.grant.context("no grant")?);
    let scope = scope(world, dataset);
    let before = match &story.measured {
        Some(value) => value.clone(),
        None => {
            let mut value = None;
            // nothing is altered yet: the value is read and kept first
            let _ = world.north.alter_for_demo(&scope, |resource| {
                value = value.take().or_else(|| measured_value(resource).cloned());
                false
            });
            let value = value.context("no record in scope holds a measured value")?;
            story.measured = Some(value.clone());
            story.save(folder)?;
            value
        }
    };
    let earlier = world.south.finish_complaint(world.north.institution()).await?;
    let altered = set_measured(world, &scope, if earlier.is_some() { &before } else { "4.2" })?;
    let found_out = match earlier {
        Some(outcome) => Ok((None, outcome)),
        None => complain(world, grant).await.map(|(pulled, outcome)| (Some(pulled), outcome)),
    };
    world.north.undo_alteration(altered, |resource| {
        if let Some(value) = measured_value(resource) {
            *value = before;
        }
    })?;
    let (pulled, outcome) = found_out?;
    ensure!(!outcome.after.sanctions.is_empty(), "no sanction followed");
    let found = match pulled {
        Some(pulled) => {
            let wrong: Vec<_> = pulled.records.iter().filter(|record| !record.ok).collect();
            ensure!(
                wrong.len() == 1 && wrong[0].handle == altered,
                "another record than the altered one was named"
            );
            format!(
                "{} {} does not prove ({})",
                wrong[0].resource_type,
                short(altered),
                wrong[0].why
            )
        }
        None => "what South had found before the story was interrupted does not prove".to_owned(),
    };
    let sanctions: Vec<_> = outcome.after.sanctions.iter().map(|sanction| sanction.level).collect();
    Ok(format!(
        "{found}; the complaint was decided by rule in block {}: upheld, {}; North's score {} → {} of 10000, sanction: {}",
        outcome.closed_in,
        edge::supervision::severity_name(outcome.severity),
        outcome.before.lcb_bps,
        outcome.after.lcb_bps,
        sanctions.join(", ")
    ))
}

/// Seals the first measured value in scope again with other digits, as an insider could.
fn set_measured(world: &World, scope: &Scope, digits: &str) -> Result<Handle> {
    let set = |resource: &mut Value| {
        measured_value(resource).map(|value| *value = digits.to_owned()).is_some()
    };
    Ok(world.north.alter_for_demo(scope, set)?)
}

/// South pulls again, finds what does not prove, and files its complaint with the evidence.
async fn complain(
    world: &World,
    grant: B256,
) -> Result<(Pulled, edge::service::complaint::CaseOutcome)> {
    let pulled = world.south.pull(grant).await?;
    ensure!(
        pulled.verdict == verdict::LEAF_PROOF,
        "the altered record was not noticed: {}",
        pulled.why
    );
    let outcome = world.south.file_complaint(pulled.delivery_id).await?;
    ensure!(outcome.after.lcb_bps < outcome.before.lcb_bps, "North's score did not fall");
    Ok((pulled, outcome))
}

/// Step 6: after North's revocation South's next pull is refused, with a code and a sentence.
async fn a_revoked_grant_is_refused(world: &World, story: &Story) -> Result<String> {
    let grant = story.grant.context("no grant")?;
    let revoked = world.north.revoke(grant, REASON_PURPOSE, "the study has ended").await?;
    match world.south.pull(grant).await {
        Ok(_) => bail!("a revoked grant was served"),
        Err(EdgeError::Refused { code, title, .. }) => Ok(format!(
            "revoked in block {}; South's next pull: {code}: {title}",
            revoked.block_number
        )),
        Err(other) => Err(other).context("South's pull failed, but not by a refusal"),
    }
}

/// Step 7: every byte of the chain's folder is searched for a name, a code, a date, an identifier of the sample records.
fn the_chain_names_nobody(world: &World, folder: &Path) -> Result<String> {
    let words = words_of_samples()?;
    let chain = world.chain_folder();
    let found = leaks::search(&chain, &words).context("the chain's folder cannot be searched")?;
    if let Some(leak) = found.leaks.first() {
        bail!(
            "a word of a record stands in {} at byte {} as {}",
            leak.file.display(),
            leak.offset,
            leak.form
        );
    }
    let planted = folder.join("planted");
    fs::create_dir_all(&planted)?;
    fs::write(
        planted.join("word"),
        words.iter().max_by_key(|word| word.len()).context("no words")?,
    )?;
    let noticed = leaks::search(&planted, &words)?;
    fs::remove_dir_all(&planted)?;
    ensure!(!noticed.leaks.is_empty(), "the search finds nothing, not even a planted word");
    Ok(format!(
        "{} words of the records searched as text, hex, base64, UTF-16 and hash in {} files, {} bytes: none found (a planted \
         one was)",
        found.words, found.files, found.bytes
    ))
}

/// What South asks for: the condition in its codes, and its measurement.
fn scope(world: &World, dataset: FixedBytes<16>) -> Scope {
    let mut codes = world.south.codes_of(CONDITION);
    codes.push(Code { system: MEASUREMENT.0.into(), code: MEASUREMENT.1.into() });
    codes.sort_by(|a, b| (&a.system, &a.code).cmp(&(&b.system, &b.code)));
    codes.dedup();
    Scope {
        dataset,
        kinds: None,
        codes: Some(codes),
        fields: None,
        from: None,
        to: None,
        persons: None,
        max_records: 200,
    }
}

/// The number in an Observation's `valueQuantity.value`.
fn measured_value(resource: &mut Value) -> Option<&mut String> {
    let Value::Object(members) = resource else { return None };
    let Value::Object(quantity) = member(members, "valueQuantity")? else { return None };
    match member(quantity, "value")? {
        Value::Number(text) => Some(text),
        _ => None,
    }
}

fn member<'a>(members: &'a mut [(String, Value)], name: &str) -> Option<&'a mut Value> {
    members.iter_mut().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Every telling word of every sample record, read off its FHIR form.
fn words_of_samples() -> Result<BTreeSet<String>> {
    let tables = Tables::shipped();
    let mut words = BTreeSet::new();
    for Samples { hospital, files } in SAMPLES {
        for (name, bytes) in files {
            let items = ingest::read(hospital, ingest::declared_by_name(name), bytes)
                .map_err(|issue| anyhow::anyhow!("{name}: {}", issue.text))?;
            for item in items {
                let made = standardize::standardize(&item, &tables).map_err(|issues| {
                    anyhow::anyhow!("{name}: {} issues refuse it", issues.len())
                })?;
                made.records.iter().for_each(|record| leaks::collect(&record.resource, &mut words));
            }
        }
    }
    Ok(words)
}

/// The first eight digits of an id: enough to follow it through the story.
fn short(id: impl ToString) -> String {
    let text = id.to_string();
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    format!("{}…", digits.get(..8).unwrap_or(digits))
}

impl Story {
    fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("story.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .with_context(|| format!("{} does not read", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn save(&self, folder: &Path) -> Result<()> {
        world::write_aside(&folder.join("story.json"), &serde_json::to_vec_pretty(self)?)
    }
}

/// The folder of a run: the one that was named, or one that goes away with the run.
struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    fn of(args: &DemoArgs) -> Self {
        match &args.datadir {
            Some(path) => Self { path: path.clone(), keep: true },
            None => {
                let begun = UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos();
                let name = format!("msnet-demo-{}-{begun}", std::process::id());
                Self { path: std::env::temp_dir().join(name), keep: false }
            }
        }
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            // what cannot be removed stays in the system's folder for such things
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
