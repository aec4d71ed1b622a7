//! Writes the eight TPC-H tables as Parquet: `cargo run -p benches --example tpch_data -- DIR SCALE`.
#![allow(clippy::print_stdout, clippy::print_stderr)] // It is a command.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, scale] = arguments.as_slice() else {
        return refuse("usage: tpch_data DIR SCALE");
    };
    let Ok(scale) = scale.parse() else {
        return refuse("the scale is a number such as 0.01");
    };
    match workload::tpch::generate(Path::new(dir), scale) {
        Ok(tables) => {
            for table in tables {
                println!(
                    "{}: {} rows, {} bytes",
                    table.table, table.rows, table.bytes
                );
            }
            ExitCode::SUCCESS
        }
        Err(error) => refuse(&error.to_string()),
    }
}

fn refuse(reason: &str) -> ExitCode {
    eprintln!("{reason}");
    ExitCode::from(2)
}
