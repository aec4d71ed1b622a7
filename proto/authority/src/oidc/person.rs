//! Who an ID token speaks for, in the names of this mesh.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use weft_governance::Principal;

use super::ProviderSettings;
use super::id_token::{Claims, Reason, text};

/// Bytes of a name of any kind.
const LONGEST_NAME: usize = 200;
/// Bytes of all groups and attributes together: they travel in every token.
const LONGEST: usize = 6 << 10;

/// The principal that `claims` speak for; tokens of `issuer`, this mesh's, will say it.
pub(super) fn principal(
    claims: &Claims,
    settings: &ProviderSettings,
    issuer: &str,
) -> Result<Principal, Reason> {
    let name = text(claims, &settings.subject_claim)
        .filter(|name| is_name(name))
        .ok_or("it does not say in a usable way who it is for")?;
    let checked = || claims.get("email_verified") == Some(&Value::Bool(true));
    if settings.subject_claim == "email" && !checked() {
        return Err("the provider did not verify the address");
    }
    let groups = groups(claims, settings)?;
    let attributes = attributes(claims, settings)?;
    let bytes = groups.iter().map(String::len).sum::<usize>()
        + attributes
            .iter()
            .map(|(k, v)| k.len() + v.len())
            .sum::<usize>();
    if bytes > LONGEST {
        return Err("it says more groups and attributes than fit; the settings can leave some out");
    }
    Ok(Principal {
        issuer: issuer.to_owned(),
        subject: format!("{name}@{}", settings.name),
        groups,
        attributes,
    })
}

fn groups(claims: &Claims, settings: &ProviderSettings) -> Result<BTreeSet<String>, Reason> {
    let said = settings.groups_claim.as_ref();
    let names: Vec<&str> = match said.and_then(|claim| claims.get(claim)) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(all)) => {
            let names: Option<_> = all.iter().map(Value::as_str).collect();
            names.ok_or("its groups are no texts")?
        }
        Some(_) => return Err("its groups are no list"),
    };
    let here = names.into_iter().filter(|name| is_name(name));
    Ok(here.filter_map(|name| settings.group(name)).collect())
}

fn attributes(
    claims: &Claims,
    settings: &ProviderSettings,
) -> Result<BTreeMap<String, String>, Reason> {
    let mut attributes = BTreeMap::new();
    for (claim, attribute) in &settings.attributes {
        let value = match claims.get(claim) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            None | Some(Value::Null) => continue,
            Some(Value::Array(_) | Value::Object(_)) => {
                return Err("a claim that is an attribute here is a list");
            }
        };
        attributes.insert(attribute.clone(), value);
    }
    Ok(attributes)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(more: &str) -> ProviderSettings {
        toml::from_str(&format!(
            "name = 'corp'\nissuer = 'https://id.example'\nclient_id = 'weft'\n\
             algorithms = ['ES256']\ngroups_claim = 'groups'\n{more}"
        ))
        .expect("valid")
    }

    fn of(claims: Value, settings: &ProviderSettings) -> Result<Principal, Reason> {
        let claims = claims.as_object().expect("an object");
        principal(claims, settings, "mesh")
    }

    #[test]
    fn nobodys_claim_makes_them_a_user_of_the_mesh_or_of_another_provider() {
        let corp = settings("");
        for name in ["ann", "ann@other", "root@service"] {
            let subject = of(json!({"sub": name}), &corp).expect("named").subject;
            assert_eq!(subject, format!("{name}@corp"));
        }
        for unfit in [
            json!({}),
            json!({"sub": ""}),
            json!({"sub": 7}),
            json!({"sub": "a\nb"}),
        ] {
            of(unfit, &corp).expect_err("nobody");
        }
    }

    #[test]
    fn an_address_names_somebody_only_when_it_was_verified() {
        let corp = settings("subject_claim = 'email'");
        let claims = |verified: Value| json!({"email": "a@b.example", "email_verified": verified});
        of(claims(json!(false)), &corp).expect_err("not verified");
        of(claims(json!("true")), &corp).expect_err("not verified");
        let subject = of(claims(json!(true)), &corp).expect("verified").subject;
        assert_eq!(subject, "a@b.example@corp");
    }

    #[test]
    fn groups_and_attributes_come_from_the_claims_that_the_settings_name() {
        let corp = settings("attributes = { department = 'region', level = 'level' }");
        let claims = json!({
            "sub": "ann", "groups": ["staff", "mesh-admins"], "department": "north", "level": 3,
            "priority": "high",
        });
        let ann = of(claims, &corp).expect("named");
        let groups: Vec<_> = ann.groups.iter().map(String::as_str).collect();
        assert_eq!(groups, ["corp:mesh-admins", "corp:staff"]);
        let attributes: Vec<_> = ann.attributes.into_iter().collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(attributes, [pair("level", "3"), pair("region", "north")]);
        of(json!({"sub": "ann", "groups": [1]}), &corp).expect_err("no texts");
        let many: Vec<_> = (0..1_000).map(|group| format!("group-{group}")).collect();
        of(json!({"sub": "ann", "groups": many}), &corp).expect_err("too many");
    }
}
