//! Reviews: objects that are questions about who someone is and what they may do.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::rbac::{self, Decision, Policy};
use super::{Attributes, User};
use crate::error::{ApiError, Cause};
use crate::resource::Resource;

const ACCESS: &str = "authorization.k8s.io";

/// Answers a review that `user` sends: the review, with its status.
///
/// # Errors
///
/// 422 for a question that is not one, 501 for reviews that this server does not answer.
pub(crate) fn answer(
    resource: &Resource,
    namespace: Option<&str>,
    review: Value,
    user: &User,
    policy: &dyn Policy,
    now: Timestamp,
) -> Result<Value, ApiError> {
    match (resource.group.as_str(), resource.plural.as_str()) {
        (ACCESS, "selfsubjectaccessreviews") => access(review, user, policy),
        (ACCESS, "subjectaccessreviews") => {
            let about = subject(&review["spec"])?;
            access(review, &about, policy)
        }
        (ACCESS, "localsubjectaccessreviews") => {
            local(review, namespace.unwrap_or_default(), policy)
        }
        (ACCESS, "selfsubjectrulesreviews") => rules(review, user, policy),
        ("authentication.k8s.io", "selfsubjectreviews") => {
            let mut review = review;
            review["metadata"]["creationTimestamp"] =
                now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
            Ok(answered(review, json!({ "userInfo": user.info() })))
        }
        _ => Err(ApiError::unsupported(resource.qualified())),
    }
}

fn access(review: Value, about: &User, policy: &dyn Policy) -> Result<Value, ApiError> {
    let Some(attributes) = Attributes::of_review(&review["spec"]) else {
        let field = "spec.resourceAttributes";
        let given = &review["spec"]["resourceAttributes"];
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        return Err(invalid(Cause::invalid(field, given, why)));
    };
    let status = match rbac::decide(policy, about, &attributes) {
        Decision::Denied => json!({ "allowed": false }),
        Decision::Allowed { reason } if reason.is_empty() => json!({ "allowed": true }),
        Decision::Allowed { reason } => json!({ "allowed": true, "reason": reason }),
    };
    Ok(answered(review, status))
}

fn local(mut review: Value, namespace: &str, policy: &dyn Policy) -> Result<Value, ApiError> {
    let about = subject(&review["spec"])?;
    let spec = &review["spec"];
    if spec["nonResourceAttributes"].is_object() {
        let field = "spec.nonResourceAttributes";
        let why = "disallowed on this kind of request";
        return Err(invalid(Cause::invalid(
            field,
            &spec["nonResourceAttributes"],
            why,
        )));
    }
    let asked = &spec["resourceAttributes"]["namespace"];
    if spec["resourceAttributes"].is_object() && asked != namespace {
        let field = "spec.resourceAttributes.namespace";
        return Err(invalid(Cause::invalid(
            field,
            asked,
            "must match metadata.namespace",
        )));
    }
    review["metadata"]["namespace"] = namespace.into();
    access(review, &about, policy)
}

fn rules(review: Value, user: &User, policy: &dyn Policy) -> Result<Value, ApiError> {
    let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let (paths, resources): (Vec<Value>, Vec<Value>) = rbac::rules(policy, user, namespace)
        .into_iter()
        .partition(|rule| rule["nonResourceURLs"].is_array());
    let status =
        json!({ "resourceRules": resources, "nonResourceRules": paths, "incomplete": false });
    Ok(answered(review, status))
}

/// The user that a review asks about.
fn subject(spec: &Value) -> Result<User, ApiError> {
    let about = User::of_review(spec);
    if about.name.is_empty() && about.groups.is_empty() {
        let why = "at least one of user or group must be specified";
        return Err(invalid(Cause::invalid("spec.user", &"".into(), why)));
    }
    Ok(about)
}

/// 422 for a review, which a real server names by its group alone.
fn invalid(cause: Cause) -> ApiError {
    ApiError::invalid_kind(ACCESS, "", "", vec![cause])
}

fn answered(mut review: Value, status: Value) -> Value {
    if !review["metadata"].is_object() {
        review["metadata"] = json!({});
    }
    review["status"] = status;
    review
}

#[cfg(test)]
mod tests {
    use super::super::rbac::tests::{policy, user};
    use super::*;
    use crate::registry::Registry;

    const SELF: &str = "selfsubjectaccessreviews";

    fn ask(user: &User, plural: &str, spec: &Value) -> Result<Value, ApiError> {
        let resources = Registry::kubernetes().resources();
        let resource = resources
            .iter()
            .find(|found| found.plural == plural)
            .unwrap();
        let review =
            json!({"kind": resource.kind, "apiVersion": resource.api_version(), "spec": spec});
        let namespace = resource.namespaced.then_some("ns");
        let now = "2024-01-01T00:00:00Z".parse().unwrap();
        answer(resource, namespace, review, user, &policy(), now)
    }

    fn ask_as_administrator(plural: &str, spec: &Value) -> Result<Value, ApiError> {
        ask(&User::administrator(), plural, spec)
    }

    fn pods(namespace: &str) -> Value {
        json!({"verb": "get", "resource": "pods", "namespace": namespace})
    }

    #[test]
    fn the_administrator_may_and_is_told_so() {
        let spec = json!({"resourceAttributes": pods("x")});
        assert_eq!(
            ask_as_administrator(SELF, &spec).unwrap(),
            json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {},
                   "spec": spec, "status": {"allowed": true}})
        );
    }

    #[test]
    fn others_may_what_they_are_granted() {
        let jane = user("jane", &["system:authenticated"]);
        let granted = json!({"resourceAttributes": pods("ns")});
        assert_eq!(
            ask(&jane, SELF, &granted).unwrap()["status"]["allowed"],
            true
        );
        let elsewhere = json!({"resourceAttributes": pods("x")});
        assert_eq!(
            ask(&jane, SELF, &elsewhere).unwrap()["status"]["allowed"],
            false
        );
        for (spec, allowed) in [
            (
                json!({"user": "jane", "resourceAttributes": pods("ns")}),
                true,
            ),
            (
                json!({"user": "joe", "resourceAttributes": pods("ns")}),
                false,
            ),
            (
                json!({"groups": ["ops"], "nonResourceAttributes": {"verb": "get", "path": "/metrics"}}),
                true,
            ),
        ] {
            let review = ask_as_administrator("subjectaccessreviews", &spec).unwrap();
            assert_eq!(review["status"]["allowed"], allowed, "{spec}");
        }
    }

    #[test]
    fn a_local_review_stays_in_its_namespace() {
        let ask = |spec: &Value| ask_as_administrator("localsubjectaccessreviews", spec);
        let review = ask(&json!({"user": "jane", "resourceAttributes": pods("ns")})).unwrap();
        assert_eq!(review["metadata"], json!({"namespace": "ns"}));
        assert_eq!(review["status"]["allowed"], true);
        for spec in [
            json!({"user": "jane", "resourceAttributes": pods("x")}),
            json!({"user": "jane", "nonResourceAttributes": {}}),
        ] {
            assert_eq!(ask(&spec).unwrap_err().code(), 422, "{spec}");
        }
    }

    #[test]
    fn what_is_no_question_is_422() {
        let error = ask_as_administrator(SELF, &json!({})).unwrap_err();
        assert_eq!(
            error.to_string(),
            ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of \
             nonResourceAttributes or resourceAttributes must be specified"
        );
        let of_no_one = json!({"resourceAttributes": pods("ns")});
        let error = ask_as_administrator("subjectaccessreviews", &of_no_one).unwrap_err();
        assert_eq!(error.code(), 422);
    }

    #[test]
    fn rules_are_listed_by_what_they_are_about() {
        let spec = json!({"namespace": "ns"});
        let rules = |user: &User| ask(user, "selfsubjectrulesreviews", &spec).unwrap();
        let all = &rules(&User::administrator())["status"];
        assert_eq!(
            all["resourceRules"],
            json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}])
        );
        assert_eq!(
            all["nonResourceRules"],
            json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}])
        );
        let jane = &rules(&user("jane", &[]))["status"];
        assert_eq!(jane["resourceRules"].as_array().unwrap().len(), 2);
        assert_eq!(jane["incomplete"], false);
        let nowhere = ask_as_administrator("selfsubjectrulesreviews", &json!({}));
        assert_eq!(nowhere.unwrap_err().code(), 400);
    }

    #[test]
    fn someone_is_told_who_they_are() {
        let review = ask(&user("jane", &["dev"]), "selfsubjectreviews", &Value::Null).unwrap();
        assert_eq!(
            review["status"],
            json!({"userInfo": {"username": "jane", "groups": ["dev"]}})
        );
        assert_eq!(
            review["metadata"]["creationTimestamp"],
            "2024-01-01T00:00:00Z"
        );
    }
}
