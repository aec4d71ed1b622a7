//! Where the files of a table are.

use super::fixture::Data;

const BODY: &str = "schema: [{name: t, properties: [{name: a}]}]\n";

/// A contract whose data is at `server`.
fn at(server: &str) -> String {
    format!("{BODY}servers: [{{server: s, {server}}}]\n")
}

fn local(path: &str) -> String {
    at(&format!("type: local, path: '{path}', format: csv"))
}

#[tokio::test]
async fn a_local_server_names_a_file_a_folder_or_a_pattern() {
    for path in [
        "./{model}.csv",
        "data/t.csv",
        "data/{model}",
        "data/{model}/",
        "data/{model}/*.csv",
        "data/{model}/part-*",
        "../raw/t.txt",
    ] {
        let data = Data::with(&local(path));
        let file = match path {
            "./{model}.csv" => "p/t.csv",
            "data/t.csv" => "p/data/t.csv",
            "../raw/t.txt" => "raw/t.txt",
            _ => "p/data/t/part-1.csv",
        };
        data.text(file, "a\n1\n");
        assert_eq!(
            data.served().await.rows("SELECT a FROM t").await,
            ["1"],
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_absolute_path_may_lead_into_the_data_directory_only() {
    let data = Data::new();
    let inside = data.path("raw/t.csv");
    data.text("raw/t.csv", "a\n1\n");
    data.contract("p", &local(&inside.display().to_string()));
    assert_eq!(data.served().await.rows("SELECT a FROM t").await, ["1"]);

    let other = Data::new();
    other.text("t.csv", "a\nhidden\n");
    let outside = other.path("t.csv").display().to_string();
    data.contract("p", &local(&outside));
    let expected = format!("{outside}: the data of table `t` is outside the data directory");
    assert_eq!(data.problems().await, [expected]);
}

#[tokio::test]
async fn paths_that_climb_out_of_the_data_directory_are_refused() {
    let parent = Data::new();
    parent.text("t.csv", "a\nhidden\n");
    parent.text("outer/t.csv", "a\nhidden\n");
    for path in ["../../t.csv", "../../outer", "../../outer/*.csv"] {
        parent.text(
            "data/p/p.odcs.yaml",
            &format!(
                "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\n{}",
                local(path)
            ),
        );
        let root = parent.root().join("data");
        let loaded = crate::product::load(&"sales".parse().expect("valid"), &root).await;
        assert!(loaded.products.is_empty(), "{path}");
        let problem = &loaded.problems[0].message;
        assert!(
            problem.contains("outside the data directory"),
            "{path}: {problem}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn links_may_lead_into_the_data_directory_only() {
    use std::os::unix::fs::symlink;
    let outside = Data::new();
    outside.text("t.csv", "a\nhidden\n");
    outside.text("folder/x.csv", "a\nhidden\n");
    outside.contract("p", BODY);

    for (from, to) in [
        ("p/t.csv", "t.csv"),
        ("p/t", "folder"),
        ("p/t/x.csv", "t.csv"),
    ] {
        let data = Data::with(BODY);
        symlink(outside.path(to), data.path(from)).expect("linked");
        let problems = data.problems().await;
        assert_eq!(problems.len(), 1, "{from}: {problems:?}");
        assert!(
            problems[0].ends_with("outside the data directory"),
            "{from}: {problems:?}"
        );
    }
    let data = Data::new();
    symlink(outside.root().join("p"), data.root().join("p")).expect("linked");
    let expected = "p/p.odcs.yaml: the contract is outside the data directory";
    assert_eq!(data.problems().await, [expected]);

    let data = Data::with(BODY);
    data.text("raw/t.csv", "a\n1\n");
    symlink(data.path("raw/t.csv"), data.path("p/t.csv")).expect("linked");
    assert_eq!(data.served().await.rows("SELECT a FROM t").await, ["1"]);
}

#[tokio::test]
async fn a_folder_holds_files_of_one_format_and_nothing_that_would_be_left_out() {
    let data = Data::with(BODY);
    data.text("p/t/1.csv", "a\n1\n");
    data.text("p/t/.hidden", "");
    data.text("p/t/_SUCCESS", "");
    assert_eq!(data.served().await.rows("SELECT a FROM t").await, ["1"]);

    for (other, problem) in [
        (
            "p/t/2.ndjson",
            "p/t: the files of a table must have one format, but these have two",
        ),
        (
            "p/t/2.csv.gz",
            "p/t/2.csv.gz: this file is not of the table's format",
        ),
        ("p/t/2", "p/t/2: this file is not of the table's format"),
        (
            "p/t/2/3.csv",
            "p/t/2: not served yet: folders within a table's folder",
        ),
    ] {
        let data = Data::with(BODY);
        data.text("p/t/1.csv", "a\n1\n");
        data.text(other, "{}\n");
        assert_eq!(data.problems().await, [problem]);
    }
}

#[tokio::test]
async fn data_that_is_missing_or_there_twice_is_named() {
    let data = Data::with(BODY);
    assert_eq!(
        data.problems().await,
        ["p/p.odcs.yaml:6: table `t`: no data was found"]
    );
    std::fs::create_dir(data.path("p/t")).expect("made");
    assert_eq!(
        data.problems().await,
        ["p/p.odcs.yaml:6: table `t`: there are no files in `t/`"]
    );
    data.text("p/t.csv", "a\n");
    let expected = "p/p.odcs.yaml:6: table `t`: both `t.csv` and `t/` are its data";
    assert_eq!(data.problems().await, [expected]);

    data.contract("p", &local("nowhere.csv"));
    let problems = data.problems().await;
    let expected = "p/nowhere.csv: the data of table `t` cannot be read: ";
    assert!(problems[0].starts_with(expected), "{problems:?}");
    data.contract("p", &local("*.parquet"));
    let expected = "p/p.odcs.yaml:6: table `t`: there are no files in `*.parquet`";
    assert_eq!(data.problems().await, [expected]);
}

#[tokio::test]
async fn what_is_not_served_yet_is_named_by_its_type() {
    for (server, problem) in [
        (
            "type: s3, location: 's3://b/t.csv'",
            "data on servers of type `s3` (`s`)",
        ),
        (
            "type: gcs, location: 'gs://b/t.csv'",
            "data on servers of type `gcs` (`s`)",
        ),
        (
            "type: azure, location: 'az://b/t'",
            "data on servers of type `azure` (`s`)",
        ),
        (
            "type: local, path: t, format: delta",
            "files in the format `delta`",
        ),
        (
            "type: local, path: t.json, format: json, delimiter: array",
            "JSON that is not one object per line",
        ),
    ] {
        let data = Data::with(&at(server));
        data.text("p/t.csv", "a\n1\n");
        let expected = format!("p/p.odcs.yaml:7: not served yet: {problem}");
        assert_eq!(data.problems().await, [expected]);
    }
}

#[tokio::test]
async fn a_server_that_holds_no_files_leaves_the_data_beside_the_contract() {
    let data = Data::with(&at("type: postgres, host: localhost"));
    data.text("p/t.csv", "a\n1\n");
    assert_eq!(data.served().await.rows("SELECT a FROM t").await, ["1"]);
}

#[tokio::test]
async fn names_with_signs_that_mean_something_to_a_shell_or_a_url_are_names() {
    let name = "a b%20[1]?*#é";
    let data = Data::with(&format!(
        "schema: [{{name: '{name}', properties: [{{name: a}}]}}]\n"
    ));
    data.text(&format!("p/{name}.csv"), "a\n1\n");
    let served = data.served().await;
    assert_eq!(
        served.rows(&format!("SELECT a FROM \"{name}\"")).await,
        ["1"]
    );
}
