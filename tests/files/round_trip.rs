//! What is written is read again as the same pipeline, by us and by YAML's other readers.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use pypz::prelude::*;
use serde_json::{Value, json};

use crate::golden;

/// Takes everything and does nothing.
#[derive(OperatorSpec, Default)]
#[operator(spec = "round.trip:Anything")]
struct Anything {
    #[parameter]
    any: Value,
    left: InputPort<String>,
    right: InputPort<String>,
    output: OutputPort<String>,
}

impl Operator for Anything {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let _ = &self.any;
        Ok(Progress::Done)
    }
}

#[derive(OperatorSpec, Default)]
#[operator(spec = "round.trip:Locked")]
struct Locked {
    #[parameter]
    password: Secret,
}

impl Operator for Locked {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let _ = &self.password;
        Ok(Progress::Done)
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        any::<String>(),
        "[0-9_:.+eExob-]{1,8}",
        proptest::sample::select(vec![
            "yes", "null", "~", "<<", "=", "true", "- a", "a: b", "#", ">>x", "1e3", "\u{feff}", "\u{85}"
        ])
        .prop_map(str::to_owned),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|float| json!(if float.is_finite() { float } else { 0.5 })),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(text(), inner, 0..5)
                .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn way() -> impl Strategy<Value = Partitioning> {
    proptest::sample::select(vec![
        Partitioning::RoundRobin,
        Partitioning::ByKey,
        Partitioning::Broadcast,
    ])
}

/// A chain of operators, each fed by the one before at one port and by any earlier one at the other.
fn pipeline() -> impl Strategy<Value = Pipeline> {
    let operator = (
        1u32..5,
        value(),
        way(),
        way(),
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    (vec(operator, 1..5), proptest::option::of(value()), "(>>|#>)?").prop_map(|(operators, above, _)| {
        let mut pipeline = Pipeline::new("any");
        if let Some(above) = above {
            pipeline.set_parameter(">any", above);
        }
        let mut made: Vec<<Anything as pypz::OperatorSpec>::Handle> = Vec::new();
        for (n, (replicas, value, left, right, other, ends)) in operators.into_iter().enumerate() {
            let one = pipeline
                .operator::<Anything>(&format!("o{n}"))
                .replicas(replicas)
                .any(value);
            if let Some(last) = made.last() {
                pipeline.connect(last.output(), one.left()).partitioned(left);
                let far = &made[other.index(made.len())];
                let connection = pipeline.connect(far.output(), one.right()).partitioned(right);
                if ends {
                    connection.ends_cycle();
                }
            }
            made.push(one);
        }
        pipeline
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same_pipeline(pipeline in pipeline()) {
        let (yaml, json) = (pipeline.to_yaml().unwrap(), pipeline.to_json().unwrap());
        for again in [Pipeline::from_yaml(&yaml), Pipeline::from_json(&json)] {
            let again = again.unwrap_or_else(|error| panic!("{error}\n{yaml}"));
            prop_assert_eq!(again.describe(), pipeline.describe());
            prop_assert_eq!(again.to_yaml().unwrap(), yaml.clone());
            prop_assert_eq!(again.to_json().unwrap(), json.clone());
        }
    }

    #[test]
    fn files_of_anybody_are_read_or_refused(cuts in vec((any::<prop::sample::Index>(), "[\\PC\n]{0,6}"), 1..6)) {
        let mut text = std::fs::read_to_string(golden("shop.yaml")).unwrap();
        for (at, with) in cuts {
            let mut at = at.index(text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            text.insert_str(at, &with);
        }
        for read in [Pipeline::from_yaml(&text), Pipeline::from_json(&text)] {
            let said = match read {
                Ok(pipeline) => pipeline.to_yaml().map_err(|error| error.to_string()).err().unwrap_or_default(),
                Err(error) => error.to_string(),
            };
            prop_assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{said:?}");
        }
    }
}

#[test]
fn a_file_of_pypz_is_written_back_as_itself() {
    let once = Pipeline::from_file(golden("shop.yaml"))
        .unwrap()
        .to_yaml()
        .unwrap();
    let twice = Pipeline::from_yaml(&once).unwrap().to_yaml().unwrap();
    assert_eq!(once, twice);
    for kept in [
        "name: shop:Shop",
        "dependsOn:",
        "operatorImageName: shop/prices:1.2",
        "replicationFactor: 2",
        "expectedParameters:",
        "\"<class 'pypz.core.specs.plugin.InputPortPlugin'>\"",
    ] {
        assert!(once.contains(kept), "{once}");
    }
}

#[test]
fn a_secret_is_written_as_a_template_or_not_at_all() {
    let mut pipeline = Pipeline::new("locked");
    pipeline
        .operator::<Locked>("safe")
        .password(Secret::new("hunter2"));
    let error = pipeline.to_yaml().unwrap_err().to_string();
    assert!(
        error.contains("'password' is a secret") && !error.contains("hunter2"),
        "{error}"
    );
    pipeline.set_parameter("safe.password", "${env:SAFE}");
    let written = pipeline.to_yaml().unwrap();
    assert!(written.contains("password: \"${env:SAFE}\""), "{written}");
}

#[derive(OperatorSpec, Default)]
struct Generic<T: Send + Default + 'static> {
    held: T,
}

impl<T: Send + Default + 'static> Operator for Generic<T> {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        let _ = &self.held;
        Ok(Progress::Done)
    }
}

#[test]
fn a_type_without_a_spec_name_is_refused_when_it_is_written() {
    let mut pipeline = Pipeline::new("generic");
    pipeline.operator::<Generic<u8>>("any");
    let error = pipeline.to_yaml().unwrap_err().to_string();
    assert!(
        error.contains("generic.any") && error.contains("has no spec name"),
        "{error}"
    );
}
