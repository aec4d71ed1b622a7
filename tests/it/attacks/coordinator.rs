//! A coordinator that was taken over, before a node.

use std::time::{Duration, SystemTime};

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::JoinType;
use datafusion::prelude::{cast, col, lit};
use harness::{Failure, HostileCoordinator, Mesh, Rows, node_id, run};
use weft_governance::{Principal, ServerId, code};
use weft_wire::authority::Authority;
use weft_wire::rpc::fragment::key_filter::Form;
use weft_wire::rpc::fragment::{FragmentRequest, KeyFilter};
use weft_wire::token::UserTokenSigner;

use super::people::{Cases, mesh};

/// The columns of the table of people that `who` may see, as the node tells them.
async fn visible(who: &HostileCoordinator) -> Schema {
    let tables = who.describe().await.expect("described");
    let table = tables.iter().find(|it| it.table == "person");
    weft_door::schema::from_bytes(&table.expect("granted").schema).expect("a schema")
}

fn only(schema: &Schema, names: &[&str]) -> Schema {
    let fields = names
        .iter()
        .map(|name| schema.field_with_name(name).expect("a column").clone());
    Schema::new(fields.collect::<Vec<Field>>())
}

/// The table of people with other columns than it has.
fn changed(schema: &Schema, name: &str, change: impl Fn(&Field) -> Field) -> Schema {
    let fields = schema
        .fields()
        .iter()
        .map(|field| match field.name() == name {
            true => change(field),
            false => field.as_ref().clone(),
        });
    Schema::new(fields.collect::<Vec<Field>>())
}

#[test]
fn a_fragment_reads_no_more_than_its_user_may_whatever_it_says() {
    run(async {
        let mesh = mesh().await;
        let analyst = HostileCoordinator::of(&mesh, "analyst", "crm").await;
        let admin = HostileCoordinator::of(&mesh, "admin", "crm").await;
        let all = visible(&admin).await;
        let some = visible(&analyst).await;
        let mut cases = Cases::default();
        let read = async |columns: &Schema| analyst.read("people", "person", columns).await;
        let fragment =
            |plan, columns: &Schema| analyst.fragment(&plan, &[("people", "person", columns)]);

        let visible = ["1 DE XXXXXXX3333", "2 DE XXXXXXX4444"];
        let three = only(&all, &["id", "country", "ssn"]);
        cases.tells(
            "control: what is granted",
            &visible,
            read(&only(&some, &["id", "country", "ssn"])).await,
        );
        let whole = admin.read("people", "person", &all).await.expect("granted");
        assert!(
            whole.len() == 5 && whole.to_string().contains("SECRET-9999"),
            "the control: {whole}"
        );

        cases.refused("a widened fragment", &[code::NOT_GRANTED], read(&all).await);
        cases.refused(
            "an ungranted column alone",
            &[code::NOT_GRANTED],
            read(&only(&all, &["note"])).await,
        );
        cases.refused(
            "an ungranted column beside granted ones",
            &[code::NOT_GRANTED],
            read(&only(&all, &["id", "note"])).await,
        );
        cases.tells("no filter at all", &visible, read(&three).await);
        let required = changed(&three, "ssn", |it| it.clone().with_nullable(false));
        let answer = read(&required).await;
        match answer {
            Err(_) => cases.refused(
                "a masked column that has no NULL",
                &[code::SCHEMA_DRIFT],
                answer,
            ),
            Ok(_) => cases.tells("a masked column that has no NULL", &visible, answer),
        }
        let number = changed(&three, "ssn", |it| {
            it.clone().with_data_type(DataType::Int64)
        });
        cases.refused(
            "a masked column of another type",
            &[code::SCHEMA_DRIFT],
            read(&number).await,
        );
        let other = changed(&three, "ssn", |it| it.clone().with_name("SSN"));
        cases.refused(
            "a masked column in another case",
            &[code::NOT_GRANTED, code::SCHEMA_DRIFT],
            read(&other).await,
        );
        let twice = Schema::new(vec![
            all.field_with_name("ssn").expect("a column").clone(),
            all.field_with_name("id").expect("a column").clone(),
        ]);
        cases.tells(
            "columns in another order",
            &["XXXXXXX3333 1", "XXXXXXX4444 2"],
            read(&twice).await,
        );

        // What is above the scan changes nothing of what is below.
        let scan = || analyst.scan("people", "person", &three);
        let plan = scan()
            .filter(col("country").eq(lit("FR")))
            .and_then(|it| it.build());
        cases.tells(
            "a filter for hidden rows",
            &[],
            analyst.run(&fragment(plan.expect("plan"), &three)).await,
        );
        let plan = scan()
            .filter(col("country").eq(lit("FR")).or(lit(true)))
            .and_then(|it| it.build());
        cases.tells(
            "OR true",
            &visible,
            analyst.run(&fragment(plan.expect("plan"), &three)).await,
        );
        let plan = scan()
            .filter(col("ssn").eq(lit("111-22-3333")))
            .and_then(|it| it.build());
        cases.tells(
            "a guess in a filter",
            &[],
            analyst.run(&fragment(plan.expect("plan"), &three)).await,
        );
        let coded = only(&all, &["id", "code"]);
        let scan = || analyst.scan("people", "person", &coded);
        let plan = scan()
            .filter(cast(col("code"), DataType::Int64).gt(lit(0_i64)))
            .and_then(|it| it.build());
        cases.tells(
            "a cast over hidden rows",
            &["1 12", "2 34"],
            analyst.run(&fragment(plan.expect("plan"), &coded)).await,
        );
        let plan = scan()
            .project(vec![cast(col("code"), DataType::Int64).alias("c")])
            .and_then(|it| it.build());
        cases.tells(
            "a cast in a projection",
            &["12", "34"],
            analyst.run(&fragment(plan.expect("plan"), &coded)).await,
        );
        let plan = scan().limit(0, Some(5)).and_then(|it| it.build());
        cases.tells(
            "a limit",
            &["1 12", "2 34"],
            analyst.run(&fragment(plan.expect("plan"), &coded)).await,
        );
        let noted = only(&all, &["id", "note"]);
        let right = analyst
            .scan("people", "person", &noted)
            .alias("n")
            .expect("an alias");
        let joined = scan().join(
            right.build().expect("plan"),
            JoinType::Inner,
            (vec!["t.id"], vec!["n.id"]),
            None,
        );
        let joined = joined.and_then(|it| it.build()).expect("plan");
        let tables = [("people", "person", &coded), ("people", "person", &noted)];
        let answer = analyst.run(&analyst.fragment(&joined, &tables)).await;
        cases.refused(
            "two scans of one table",
            &[code::NOT_GRANTED, code::PROTOCOL],
            answer,
        );

        // Columns that the leaf announces and does not read are not read.
        let plan = analyst
            .scan("people", "person", &noted)
            .project(vec![col("t.id")])
            .and_then(|it| it.build());
        let answer = analyst.run(&fragment(plan.expect("plan"), &noted)).await;
        cases.refused(
            "a column that is announced and projected away",
            &[code::NOT_GRANTED],
            answer,
        );

        keys(&analyst, &three, &mut cases).await;
        ungranted(&mesh, &mut cases).await;
        assert!(cases.count >= 24, "{}", cases.count);
        cases.withstood();
    });
}

/// Keys that a coordinator makes up.
async fn keys(analyst: &HostileCoordinator, columns: &Schema, cases: &mut Cases) {
    let reduced = async |filter: KeyFilter| -> Result<Rows, Failure> {
        let plan = analyst
            .scan("people", "person", columns)
            .build()
            .expect("a plan");
        let fragment = analyst.fragment(&plan, &[("people", "person", columns)]);
        analyst.run_reduced(fragment, vec![filter]).await
    };
    let number = |base| KeyFilter {
        form: Form::Bitmap.into(),
        columns: vec![0],
        base,
        bits: vec![1],
        ..KeyFilter::default()
    };
    cases.tells(
        "control: a key of a visible row",
        &["1 DE XXXXXXX3333"],
        reduced(number(1)).await,
    );
    cases.tells("a key of a hidden row", &[], reduced(number(3)).await);
}

/// Tables and users that have no right.
async fn ungranted(mesh: &Mesh, cases: &mut Cases) {
    let id = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
    let sales = HostileCoordinator::of(mesh, "analyst", "sales").await;
    cases.refused(
        "another table",
        &[code::NOT_GRANTED],
        sales.read("orders", "closed", &id).await,
    );
    cases.refused(
        "a table that there is not",
        &[code::NOT_FOUND],
        sales.read("orders", "none", &id).await,
    );
    cases.refused(
        "a table of another domain",
        &[code::NOT_FOUND],
        sales.read("people", "person", &id).await,
    );
    let admin = HostileCoordinator::of(mesh, "admin", "sales").await;
    cases.tells(
        "control: another table",
        &["1", "2", "3"],
        admin.read("orders", "closed", &id).await,
    );
    let outsider = HostileCoordinator::of(mesh, "outsider", "crm").await;
    cases.refused(
        "somebody without rights",
        &[code::NOT_GRANTED],
        outsider.read("people", "person", &id).await,
    );
    let told = outsider.describe().await.expect("an answer");
    assert!(
        told.is_empty(),
        "who has no rights is told of no table: {told:?}"
    );
}

/// One person's rights are of no use to another, nor are they without a fresh signature.
#[test]
fn a_fragment_needs_its_users_token_and_a_signature_of_its_own() {
    run(async {
        let mesh = mesh().await;
        let analyst = HostileCoordinator::of(&mesh, "analyst", "crm").await;
        let admin = HostileCoordinator::of(&mesh, "admin", "crm").await;
        let id = Schema::new(vec![Field::new("id", DataType::Int64, true)]);
        let plan = analyst
            .scan("people", "person", &id)
            .build()
            .expect("a plan");
        let fragment = || analyst.fragment(&plan, &[("people", "person", &id)]);
        let mut cases = Cases::default();
        cases.tells("control", &["1", "2"], analyst.run(&fragment()).await);
        let who = |change: &dyn Fn(&mut HostileCoordinator)| {
            let mut who = analyst.clone();
            change(&mut who);
            who
        };

        let delegated = [code::DELEGATION];
        cases.refused(
            "no signature",
            &delegated,
            analyst.send(&fragment(), None, None).await,
        );
        cases.refused(
            "an empty signature",
            &delegated,
            analyst.send(&fragment(), Some(""), None).await,
        );
        let one = fragment();
        let signed = analyst.delegation(&one);
        cases.refused(
            "a signature for other bytes",
            &delegated,
            analyst.send(&fragment(), Some(&signed), None).await,
        );
        let larger = FragmentRequest {
            timeout_ms: 20_000,
            ..one.clone()
        };
        cases.refused(
            "a fragment that was changed after it was signed",
            &delegated,
            analyst.send(&larger, Some(&signed), None).await,
        );
        cases.tells(
            "control: the fragment that was signed",
            &["1", "2"],
            analyst.send(&one, Some(&signed), None).await,
        );
        cases.refused(
            "a signature once more",
            &[code::REPLAYED],
            analyst.send(&one, Some(&signed), None).await,
        );
        let signed = analyst.delegation(&one);
        cases.refused(
            "another user's token under a signature",
            &delegated,
            admin.send(&one, Some(&signed), None).await,
        );
        let second = mesh.identity(&ServerId::coordinator("second").expect("name"));
        let crm = mesh.identity(&node_id("crm"));
        let sales = mesh.identity(&node_id("sales"));
        let signer = second.clone();
        cases.refused(
            "another's signature",
            &delegated,
            who(&|it| it.signer = signer.clone()).run(&fragment()).await,
        );
        cases.refused(
            "a signature for another node",
            &delegated,
            who(&|it| it.audience = node_id("sales"))
                .run(&fragment())
                .await,
        );
        let hour = Duration::from_secs(3_600);
        for (name, at) in [
            ("a signature of an hour ago", SystemTime::now() - hour),
            ("a signature of an hour to come", SystemTime::now() + hour),
        ] {
            cases.refused(
                name,
                &delegated,
                who(&|it| it.signed_at = at).run(&fragment()).await,
            );
        }
        cases.refused(
            "no certificate",
            &delegated,
            analyst.send_as_nobody(&fragment()).await,
        );

        let token = [code::UNAUTHENTICATED];
        for (name, thief) in [
            ("another coordinator", &second),
            ("the node itself", &crm),
            ("another node", &sales),
        ] {
            let thief = who(&|it| {
                it.identity = thief.clone();
                it.signer = thief.clone();
            });
            cases.refused(
                &format!("a stolen token, shown by {name}"),
                &token,
                thief.run(&fragment()).await,
            );
        }
        for (name, text) in forged_tokens(&mesh, &analyst).await {
            let forger = who(&|it| it.token = text.clone());
            cases.refused(name, &token, forger.run(&fragment()).await);
        }
        assert!(cases.count >= 20, "{}", cases.count);
        cases.withstood();
    });
}

/// Tokens that are not what a coordinator is given for the node of crm.
async fn forged_tokens(mesh: &Mesh, analyst: &HostileCoordinator) -> Vec<(&'static str, String)> {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let elsewhere = HostileCoordinator::of(mesh, "analyst", "sales").await.token;
    let principal = Principal {
        issuer: "https://authority.test".to_owned(),
        subject: "admin".to_owned(),
        groups: ["crm-owners".to_owned()].into(),
        attributes: Default::default(),
    };
    let forger = UserTokenSigner::generate("https://authority.test").expect("a key");
    let minute = Duration::from_secs(60);
    let thumbprint = analyst.identity.thumbprint();
    let made_up = forger
        .sign(
            &principal,
            &node_id("crm"),
            Some(thumbprint),
            SystemTime::now(),
            minute,
        )
        .expect("signed");
    let parts: Vec<&str> = analyst.token.split('.').collect();
    let claims = URL_SAFE_NO_PAD.decode(parts[1]).expect("claims");
    let claims = String::from_utf8(claims).expect("a text");
    assert!(claims.contains("\"analyst\""), "{claims}");
    let raised = URL_SAFE_NO_PAD.encode(claims.replace("\"analyst\"", "\"admin\""));
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"typ":"weft-user+jwt","alg":"none"}"#);
    vec![
        ("a token for another node", elsewhere),
        ("a user that was made up", made_up.text.clone()),
        (
            "another user in a token",
            format!("{}.{raised}.{}", parts[0], parts[2]),
        ),
        (
            "no signature under a token",
            format!("{}.{}.", parts[0], parts[1]),
        ),
        (
            "a token that wants no signature",
            format!("{unsigned}.{raised}."),
        ),
        ("the signature of another token", {
            let other: Vec<&str> = made_up.text.split('.').collect();
            format!("{}.{}.{}", parts[0], parts[1], other[2])
        }),
        ("no token", String::new()),
        ("garbage", "a.b.c".to_owned()),
    ]
}

/// A lease is of use to the coordinator that it was given to, as long as its session lives.
#[test]
fn a_stolen_lease_is_of_no_use() {
    run(async {
        let mesh = mesh().await;
        let main = mesh.identity(&ServerId::coordinator("main").expect("name"));
        let second = mesh.identity(&ServerId::coordinator("second").expect("name"));
        let lease = HostileCoordinator::lease(&mesh, &main, "admin").await;
        let crm = node_id("crm");
        let thief = HostileCoordinator::exchanged(&mesh, &second, &lease, &crm).await;
        assert!(thief.is_err(), "by another coordinator");
        let node = mesh.identity(&node_id("sales"));
        let thief = HostileCoordinator::exchanged(&mesh, &node, &lease, &crm).await;
        assert!(thief.is_err(), "by a node");
        let control = HostileCoordinator::exchanged(&mesh, &main, &lease, &crm).await;
        let token = control.expect("the control");
        // The token alone opens no session: it is good with the coordinator's certificate alone.
        let told = mesh.bring_to("crm", &token).await.error("SELECT 1").await;
        assert_eq!(told.code(), code::UNAUTHENTICATED, "{told}");
        let authority = Authority::connect(&mesh.authority.url(), &main).expect("url");
        authority.end_lease(&lease).await.expect("ended");
        let ended = HostileCoordinator::exchanged(&mesh, &main, &lease, &crm).await;
        assert!(ended.is_err(), "after it ended");
    });
}

/// An owner who signed in at a coordinator has not given it the owner's rights over grants.
#[test]
fn a_coordinator_changes_no_right_with_what_an_owner_left_there() {
    run(async {
        let mesh = mesh().await;
        let grant = "GRANT SELECT ON PRODUCT crm.people TO USER analyst";
        let owner = HostileCoordinator::of(&mesh, "crm_owner", "crm").await;
        let mut stolen = mesh.bring_to("crm", &owner.token).await;
        for sql in [grant, "SHOW GRANTS", "REVOKE GRANT 'config-1'"] {
            let told = stolen.error(sql).await;
            assert_eq!(told.code(), code::UNAUTHENTICATED, "{sql}: {told}");
        }
        let mut session = mesh.sign_in("crm_owner").await;
        let mut brought = mesh.bring_to("crm", session.bearer()).await;
        let told = brought.error(grant).await;
        assert_eq!(told.code(), code::UNAUTHENTICATED, "{told}");
        for sql in [
            grant,
            "SHOW GRANTS",
            "REVOKE GRANT 'config-1'",
            "APPROVE REQUEST 'x'",
            "REJECT REQUEST 'x' BECAUSE 'y'",
        ] {
            let told = session.error(sql).await;
            assert_eq!(told.code(), code::UNSUPPORTED, "{sql}: {told}");
        }
        let mut control = mesh.sign_in_at("crm", "crm_owner").await;
        control
            .query(grant)
            .await
            .expect("the control: the owner at the node");
    });
}
