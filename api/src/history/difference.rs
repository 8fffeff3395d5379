//! What changed between two states, by JSON Pointer (RFC 6901).

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// One place that changed. What was not there before has no `old`; what is gone has no `new`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Change {
    /// Where: `/settings/name`. Empty: the whole.
    pub path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub old: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub new: Option<Value>,
}

/// The changes that lead from `old` to `new`, each as deep as it can be told. Lists are compared
/// place by place.
pub fn between(old: &Value, new: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&mut String::new(), Some(old), Some(new), &mut changes);
    changes
}

fn compare(path: &mut String, old: Option<&Value>, new: Option<&Value>, changes: &mut Vec<Change>) {
    match (old, new) {
        (Some(old), Some(new)) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                let step = name.replace('~', "~0").replace('/', "~1");
                descend(path, &step, old.get(name), new.get(name), changes);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for place in 0..old.len().max(new.len()) {
                descend(path, &place.to_string(), old.get(place), new.get(place), changes);
            }
        }
        (old, new) => {
            changes.push(Change { path: path.clone(), old: old.cloned(), new: new.cloned() });
        }
    }
}

fn descend(
    path: &mut String,
    step: &str,
    old: Option<&Value>,
    new: Option<&Value>,
    changes: &mut Vec<Change>,
) {
    let length = path.len();
    path.push('/');
    path.push_str(step);
    compare(path, old, new, changes);
    path.truncate(length);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(old: &Value, new: &Value) -> Vec<(String, Option<Value>, Option<Value>)> {
        between(old, new).into_iter().map(|change| (change.path, change.old, change.new)).collect()
    }

    #[test]
    fn what_is_the_same_is_not_told() {
        let state = json!({"a": [1, {"b": null}], "c": "d"});
        assert_eq!(told(&state, &state), []);
    }

    #[test]
    fn each_change_is_told_where_it_is() {
        let old = json!({"kept": 1, "changed": {"deep": [1, 2, 3]}, "gone": null, "kind": {"of": "map"}});
        let new = json!({"kept": 1, "changed": {"deep": [1, 5]}, "kind": "text", "come": {"whole": true}});
        assert_eq!(
            told(&old, &new),
            [
                ("/changed/deep/1".into(), Some(json!(2)), Some(json!(5))),
                ("/changed/deep/2".into(), Some(json!(3)), None),
                ("/gone".into(), Some(json!(null)), None),
                ("/kind".into(), Some(json!({"of": "map"})), Some(json!("text"))),
                ("/come".into(), None, Some(json!({"whole": true}))),
            ]
        );
    }

    #[test]
    fn every_path_is_a_pointer_to_what_it_tells() {
        let old = json!({"a/b": {"~": 1}});
        let new = json!({"a/b": {"~": 2}});
        let changes = between(&old, &new);
        assert_eq!(changes[0].path, "/a~1b/~0");
        assert_eq!(old.pointer(&changes[0].path), changes[0].old.as_ref());
        assert_eq!(new.pointer(&changes[0].path), changes[0].new.as_ref());
        assert_eq!(told(&json!(1), &json!(2)), [(String::new(), Some(json!(1)), Some(json!(2)))]);
    }
}
