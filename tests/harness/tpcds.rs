//! TPC-DS: data, questions and DuckDB's answers, all made by DuckDB at test time.

mod answer;
mod layout;
mod question;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::ipc::reader::StreamReader;
use arrow::record_batch::RecordBatch;
use tempfile::TempDir;

pub use answer::Answer;
pub use layout::{Layout, SIX_DOMAINS, THREE_DOMAINS};
pub use question::Question;

/// Rises when `make.py` puts other rows into the tables than before.
const FORMAT: u32 = 1;
/// How many questions there are.
const QUESTIONS: u32 = 99;

/// What DuckDB brings along: the tables as Parquet files and the texts of the queries.
pub struct TpcDs {
    python: OsString,
    folder: PathBuf,
}

impl TpcDs {
    /// Has the data made, or finds it. `None` if there is no interpreter to make it.
    pub fn make() -> Option<Self> {
        let python = std::env::var_os("WEFT_TEST_PYTHON")?;
        let folder = std::env::temp_dir().join(format!("weft-test-tpcds-{FORMAT}"));
        let tpcds = Self { python, folder };
        tpcds.run(&["data".as_ref(), &tpcds.folder]);
        Some(tpcds)
    }

    /// The questions, in the order of their numbers.
    pub fn questions(&self) -> Vec<Question> {
        let text = |number| {
            let file = self.folder.join(format!("queries/q{number:02}.sql"));
            fs::read_to_string(file).expect("the text of a query")
        };
        (1..=QUESTIONS)
            .map(|number| Question::new(number, &text(number)))
            .collect()
    }

    /// The file of a table.
    fn table(&self, name: &str) -> PathBuf {
        self.folder.join(format!("tables/{name}.parquet"))
    }

    /// What DuckDB answers to each of `questions`.
    pub fn answers(&self, questions: &[Question]) -> Vec<Answer> {
        let scratch = TempDir::new().expect("folder");
        let (texts, answers) = (scratch.path().join("texts"), scratch.path().join("answers"));
        fs::create_dir(&texts).expect("folder");
        for question in questions {
            let file = texts.join(format!("{}.sql", question.name()));
            fs::write(file, question.text()).expect("written");
        }
        self.run(&["answers".as_ref(), &self.folder, &texts, &answers]);
        questions
            .iter()
            .map(|question| read(&answers.join(format!("{}.arrow", question.name()))))
            .collect()
    }

    fn run(&self, arguments: &[&Path]) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/tpcds/make.py");
        let done = Command::new(&self.python)
            .arg(script)
            .args(arguments)
            .status()
            .expect("the interpreter starts");
        assert!(done.success(), "make.py {arguments:?}");
    }
}

fn read(file: &Path) -> Answer {
    let file = fs::File::open(file).expect("an answer");
    let reader = StreamReader::try_new(file, None).expect("an Arrow stream");
    let batches: Vec<RecordBatch> = reader.map(|batch| batch.expect("a batch")).collect();
    Answer::of(&batches)
}
