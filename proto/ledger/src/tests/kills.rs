//! A process that writes and is killed. This shows what the log does with what reached the kernel;
//! a power cut takes more, and against that stands `synchronous = FULL`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use weft_governance::hex;

use crate::Ledger;
use crate::fixture::{Dice, Log, at, event, is_full_run, sealer};

/// Tells the test below where to write.
const PLACE: &str = "WEFT_LEDGER_KILLED_AT";
const NAME: &str = "tests::kills::the_process_that_is_killed";

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let rounds = if is_full_run() { 300 } else { 30 };
    let mut dice = Dice::new(5);
    let mut log = Log::new();
    let mut acknowledged = BTreeMap::new();
    let mut all = 0;
    for round in 0..rounds {
        // Now and then a new file, so that its making is interrupted too.
        if round % 10 == 0 {
            log = Log::new();
            acknowledged.clear();
        }
        let seen = kill_a_writer(&log.path(), &mut dice);
        all += seen.len();
        acknowledged.extend(seen);
        assert_nothing_is_lost(&log, &acknowledged);
    }
    assert!(all > rounds, "the writers came to write: {all} records");
}

/// Appends until it is killed, if it was started for that.
#[tokio::test]
async fn the_process_that_is_killed() {
    let Some(path) = std::env::var_os(PLACE).map(PathBuf::from) else {
        return;
    };
    let ledger = Ledger::open(&path).expect("opened");
    let mut writers = tokio::task::JoinSet::new();
    // The runner's own words may have begun this line.
    say("");
    for _ in 0..4 {
        let ledger = ledger.clone();
        writers.spawn(async move {
            for number in 0.. {
                let recorded = ledger.append(event(number)).await.expect("appended");
                say(&format!("{} {}", recorded.sequence, hex(&recorded.hash)));
                if number % 16 == 0 {
                    let written = ledger.checkpoint(at(number), &sealer()).await;
                    written.expect("written");
                }
            }
        });
    }
    writers.join_all().await;
}

/// Past the test runner, which would hold it back.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").expect("said");
    out.flush().expect("said");
}

/// Starts a writer, kills it at some moment, and returns what it acknowledged.
fn kill_a_writer(path: &Path, dice: &mut Dice) -> BTreeMap<u64, String> {
    let mut writer = Command::new(std::env::current_exe().expect("a program"))
        .args(["--exact", NAME, "--nocapture", "--test-threads=1"])
        .env(PLACE, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(writer.stdout.take().expect("output")).lines();
    let mut seen = BTreeMap::new();
    // Some are killed before they have acknowledged anything, some long after.
    for _ in 0..dice.below(3) * dice.below(60) {
        let line = lines.next().expect("the writer goes on").expect("a line");
        seen.extend(acknowledgement(&line));
    }
    std::thread::sleep(Duration::from_micros(dice.below(3_000) as u64));
    kill(&mut writer);
    // What it said before it died counts too; half a line does not.
    seen.extend(rest(lines));
    seen
}

fn kill(writer: &mut Child) {
    writer.kill().expect("killed");
    writer.wait().expect("gone");
}

fn rest(lines: std::io::Lines<BufReader<ChildStdout>>) -> impl Iterator<Item = (u64, String)> {
    lines.filter_map(|line| acknowledgement(&line.ok()?))
}

fn acknowledgement(line: &str) -> Option<(u64, String)> {
    let (sequence, hash) = line.split_once(' ')?;
    let whole = hash.len() == 64;
    whole.then_some((sequence.parse().ok()?, hash.to_owned()))
}

fn assert_nothing_is_lost(log: &Log, acknowledged: &BTreeMap<u64, String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    // It goes on: it opens, takes an event, and is whole.
    let newest = runtime.block_on(async {
        let ledger = log.open();
        ledger.append(event(0)).await.expect("appended")
    });
    let verified = log.verify().expect("whole");
    assert_eq!(verified.records, newest.sequence);
    let records: BTreeMap<u64, String> = log
        .records()
        .expect("read")
        .into_iter()
        .map(|record| (record.sequence, hex(&record.hash)))
        .collect();
    for (sequence, hash) in acknowledged {
        assert_eq!(records.get(sequence), Some(hash), "record {sequence}");
    }
}
