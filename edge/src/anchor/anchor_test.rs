//! Every anchored record proves against its root, and a changed one does not.
use contracts::leaf::{commit, leaf_hash, verify};

use super::*;
use crate::{
    keys::Keys,
    model::json::Value,
    vault::vault_test::{folder, patient_item},
};

fn opened(dir: &Path, keys: &Keys) -> (Arc<Vault>, Anchors) {
    let vault = Arc::new(Vault::open(dir, keys.store_keys()).expect("opens"));
    let anchors = Anchors::open(dir, Arc::clone(&vault), keys.store_keys()).expect("opens");
    (vault, anchors)
}

fn check_all(vault: &Vault, anchors: &Anchors, records: usize) {
    let metas = vault.iter_metas().expect("read");
    assert_eq!(metas.len(), records);
    for meta in metas {
        let record = vault.get(meta.handle).expect("read").expect("there");
        let proof = anchors.proof(meta.handle).expect("proves").expect("anchored");
        let (batch, _) = anchors.batch(proof.batch_seq).expect("known");
        let leaf = leaf_hash(&proof.leaf);
        assert!(verify(batch.root, batch.size_log2, leaf, proof.index, &proof.siblings));
        let content = commit("msnet/content/1", proof.content_nonce, &record.bytes);
        let summary = commit("msnet/summary/1", proof.summary_nonce, &record.summary);
        assert_eq!((content, summary), (proof.leaf.contentHash, proof.leaf.summaryHash));
        assert_eq!((proof.leaf.handle.0, proof.root), (meta.handle.0, batch.root));
    }
}

#[test]
fn all_records_prove_across_batches_and_restarts() {
    let (dir, keys) = folder();
    let (vault, anchors) = opened(dir.path(), &keys);
    assert_eq!(anchors.close_batch().expect("nothing waits"), None);
    vault.accept(&patient_item("a", 2)).expect("accepted");
    vault.accept(&patient_item("b", 20)).expect("accepted");
    assert_eq!(anchors.pending_count().expect("counted"), 24);
    let first = anchors.close_batch_at(20_454).expect("closed").expect("a batch");
    assert_eq!((first.seq, first.prev_root, first.size_log2), (1, B256::ZERO, 5));
    assert_eq!((first.schema, first.records), (1, 24));
    let leaves = std::fs::read(anchors.leaves_path(1)).expect("there");
    assert_eq!(leaves.len(), 32 * 32, "padding is kept, too");
    vault.accept(&patient_item("c", 2)).expect("accepted");
    let waiting = vault.iter_metas().expect("read").len();
    let second = anchors.close_batch_at(20_455).expect("closed").expect("a batch");
    assert_eq!((second.seq, second.prev_root, second.size_log2), (2, first.root, 4));
    assert_eq!(anchors.close_batch().expect("nothing waits"), None);
    check_all(&vault, &anchors, waiting);

    let tx = B256::repeat_byte(7);
    assert_eq!(anchors.unanchored().len(), 2);
    anchors.mark_submitted(1, tx).expect("noted");
    anchors.mark_anchored(1, tx, 12).expect("noted");
    assert!(anchors.mark_submitted(3, tx).is_err());
    drop((vault, anchors));
    let (vault, anchors) = opened(dir.path(), &keys);
    let (unanchored, _) = &anchors.unanchored()[0];
    assert_eq!(unanchored, &second);
    assert_eq!(anchors.batch(1), Some((first, BatchState::Anchored { tx, block: 12 })));
    check_all(&vault, &anchors, waiting);
}

#[test]
fn an_altered_record_is_refused_and_an_insiders_proof_fails() {
    let (dir, keys) = folder();
    let (vault, anchors) = opened(dir.path(), &keys);
    let records = vault.accept(&patient_item("a", 3)).expect("accepted").records;
    let batch = anchors.close_batch().expect("closed").expect("a batch");
    let handle = records[2].handle;
    vault.alter_for_demo(handle, |v| v.set("note", Value::string("changed"))).expect("altered");
    let error = anchors.proof(handle).expect_err("does not match").to_string();
    assert!(error.contains(&handle.to_string()), "{error}");
    anchors.set_insider(true);
    let proof = anchors.proof(handle).expect("handed out").expect("anchored");
    let leaf = leaf_hash(&proof.leaf);
    assert!(!verify(batch.root, batch.size_log2, leaf, proof.index, &proof.siblings));
    let honest = anchors.proof(records[1].handle).expect("handed out").expect("anchored");
    let leaf = leaf_hash(&honest.leaf);
    assert!(verify(batch.root, batch.size_log2, leaf, honest.index, &honest.siblings));
    assert_eq!(anchors.close_batch().expect("nothing new"), None, "no second leaf for it");
}

#[test]
fn damaged_leaves_are_named() {
    let (dir, keys) = folder();
    let (vault, anchors) = opened(dir.path(), &keys);
    let records = vault.accept(&patient_item("a", 3)).expect("accepted").records;
    anchors.close_batch().expect("closed");
    let path = anchors.leaves_path(1);
    let mut bytes = std::fs::read(&path).expect("there");
    bytes[5] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    drop((vault, anchors));
    let (_vault, anchors) = opened(dir.path(), &keys);
    let error = anchors.proof(records[0].handle).expect_err("damage").to_string();
    assert!(error.contains(".leaves"), "{error}");
}

#[test]
fn an_erased_patients_neighbours_still_prove() {
    let (dir, keys) = folder();
    let (vault, anchors) = opened(dir.path(), &keys);
    let a = vault.accept(&patient_item("a", 3)).expect("accepted").records;
    vault.accept(&patient_item("b", 3)).expect("accepted");
    anchors.close_batch().expect("closed");
    let erased = vault.erase_patient(a[0].patient_no).expect("erased");
    anchors.forget(&erased.handles).expect("forgotten");
    drop((vault, anchors));
    let (vault, anchors) = opened(dir.path(), &keys);
    assert_eq!(anchors.state_of(a[0].handle), None);
    check_all(&vault, &anchors, 4);
}
