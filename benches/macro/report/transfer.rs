//! The table of how fast rows go from one process to another.

use std::fmt;

use serde_json::{Value, json};

use super::super::table::Table;
use super::super::transfer::Figures;
use super::super::{Sender, Transfer, unit};
use super::Report;

/// The part of raw TCP's speed that Weft should reach.
const OF_TCP: f64 = 0.6;
/// Seconds of processor time that both ends together may need for 10⁹ bytes.
const CPU: f64 = 1.0;

/// Writes nothing if no rows were sent.
pub(super) fn write(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let Some(transfer) = &report.transfer else {
        return Ok(());
    };
    writeln!(
        f,
        "Rows from one process to another, in MiB/s; processor time of both ends in s per GB; in the last column, \
         whether it is at least {OF_TCP} of raw TCP in at most {CPU} s per GB\n{}",
        table(transfer)
    )?;
    match &transfer.wrong {
        Some(wrong) => writeln!(f, "Rows from one process to another: WRONG: {wrong}\n"),
        None => Ok(()),
    }
}

/// For programs: MiB/s, and seconds for 10⁹ bytes.
pub(super) fn json(transfer: &Transfer) -> Value {
    let legs = transfer.figures().map(|(leg, figures)| {
        json!({
            "leg": leg,
            "runs": figures.runs,
            "bytes": figures.bytes,
            "best_mib_per_second": figures.best,
            "median_mib_per_second": figures.median,
            "of_tcp": figures.of_tcp,
            "cpu_seconds_per_gb": figures.cpu_per_gb,
        })
    });
    json!({"legs": legs.collect::<Vec<_>>(), "wrong": transfer.wrong})
}

fn table(transfer: &Transfer) -> Table {
    let header = [
        "rows", "from", "to", "bytes", "best", "median", "of tcp", "cpu/GB", "",
    ];
    let mut table = Table::new(header);
    for (leg, figures) in transfer.figures() {
        let Figures {
            bytes,
            best,
            median,
            of_tcp,
            cpu_per_gb,
            ..
        } = figures;
        let weft = matches!(
            leg.sender,
            Sender::Door | Sender::Node | Sender::Coordinator
        );
        let aim = match of_tcp {
            Some(of_tcp) if weft && of_tcp >= OF_TCP && cpu_per_gb <= CPU => "ok",
            Some(_) if weft => "below",
            _ => "",
        };
        table.row(vec![
            leg.payload.to_string(),
            leg.sender.name().to_owned(),
            leg.reader.to_string(),
            unit::bytes(bytes),
            format!("{best:.0}"),
            format!("{median:.0}"),
            unit::times(of_tcp),
            format!("{cpu_per_gb:.2}"),
            aim.to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::{Carry, Leg, Payload, ReaderKind};
    use super::*;

    #[test]
    fn weft_is_judged_by_raw_tcp_and_by_processor_time() {
        let mut transfer = Transfer::default();
        let mut add = |sender, millis: u64, cpu: u64| {
            let leg = Leg {
                payload: Payload::Numbers,
                sender,
                reader: ReaderKind::Rust,
            };
            let carry = Carry {
                bytes: 1 << 30,
                rows: 0,
                time: Duration::from_millis(millis),
                cpu: Duration::from_millis(cpu),
            };
            transfer.add(leg, carry);
        };
        add(Sender::Tcp, 512, 500);
        add(Sender::Node, 640, 1000);
        add(Sender::Coordinator, 2048, 1000);
        let expected = "\
rows     from              to    bytes  best  median  of tcp  cpu/GB
numbers               tcp  rust  1.07 GB  2000    2000    1.00    0.47
numbers         weft node  rust  1.07 GB  1600    1600    0.80    0.93  ok
numbers  weft coordinator  rust  1.07 GB   500     500    0.25    0.93  below
";
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&table(&transfer).to_string()), squeezed(expected));
    }
}
