//! The derives: what they generate, and what they refuse.

use std::collections::HashMap;

use pypz::OperatorSpec;
use pypz::operator::OperatorDescription;
use pypz::parameter::{ParameterSpec, Parameterized, Requirement};
use pypz::plugin::{Plugin, Service};
use pypz::port::Direction;
use pypz::prelude::*;
use serde_json::json;

#[derive(Debug, PartialEq, Serialize, Deserialize, AvroSchema)]
struct Flight {
    carrier: String,
}

type Lines = InputPort<String, Text>;

/// A place where flights are kept.
#[derive(PluginSpec, Debug, Default)]
struct Database {
    /// Where it listens.
    #[parameter(required)]
    address: String,
    #[parameter(name = "databasePassword")]
    password: Secret,
    connections: usize,
}

#[async_trait::async_trait]
impl Service for Database {
    async fn start(&mut self) -> Result<()> {
        self.connections += 1;
        Ok(())
    }

    async fn shut_down(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Plugin for Database {
    fn as_service(&mut self) -> Option<&mut dyn Service> {
        Some(self)
    }
}

#[derive(PluginSpec, Debug, Default)]
struct Clock;

impl Plugin for Clock {}

/// Cleans flights.
///
/// Drops the cancelled ones.
#[derive(OperatorSpec, Debug, Default)]
struct Clean {
    /// What was flown.
    flights: InputPort<Flight>,
    #[port(input)]
    lines: Lines,
    output: OutputPort<Flight>,
    r#type: OutputPort<Flight, Json>,
    /// The most flights
    /// to keep.
    #[parameter]
    limit: u32,
    #[parameter(required)]
    strict: bool,
    #[parameter(name = "carrierNames")]
    carrier_names: HashMap<String, Vec<String>>,
    #[parameter(required, name = "maxAge")]
    max_age: u64,
    #[plugin]
    database: Database,
    #[plugin(depends_on = ["database"])]
    clock: Clock,
    dropped: u64,
}

impl Operator for Clean {
    async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
        self.dropped += 1;
        Ok(Progress::Done)
    }
}

fn described() -> OperatorDescription {
    Clean::describe()
}

fn spec(
    name: &'static str,
    type_name: &'static str,
    default: Option<&str>,
    doc: &'static str,
) -> ParameterSpec {
    let requirement = default.map_or(Requirement::Required, |default| {
        let default = default.to_owned();
        Requirement::Optional { default }
    });
    ParameterSpec {
        name,
        type_name,
        requirement,
        doc,
    }
}

#[test]
fn ports_are_described_in_the_order_of_the_fields() {
    let description = described();
    assert_eq!(description.type_name, "derive::Clean");
    assert_eq!(description.doc, "Cleans flights. Drops the cancelled ones.");
    let ports: Vec<_> = description
        .ports
        .iter()
        .map(|port| (port.name, port.direction, port.doc))
        .collect();
    let expected = [
        ("flights", Direction::Input, "What was flown."),
        ("lines", Direction::Input, ""),
        ("output", Direction::Output, ""),
        ("type", Direction::Output, ""),
    ];
    assert_eq!(ports, expected);
}

#[test]
fn parameters_are_described_with_type_default_and_meaning() {
    let expected = [
        spec("limit", "u32", Some("0"), "The most flights to keep."),
        spec("strict", "bool", None, ""),
        spec("carrierNames", "HashMap<String, Vec<String>>", Some("{}"), ""),
        spec("maxAge", "u64", None, ""),
    ];
    assert_eq!(described().parameters, expected);
}

#[test]
fn plugins_are_described_with_their_parameters_and_what_they_wait_for() {
    let plugins = described().plugins;
    let names: Vec<_> = plugins
        .iter()
        .map(|plugin| (plugin.name, plugin.depends_on))
        .collect();
    assert_eq!(
        names,
        [("database", [].as_slice()), ("clock", ["database"].as_slice())]
    );
    let expected = [
        spec("address", "String", None, "Where it listens."),
        spec("databasePassword", "Secret", Some("***"), ""),
    ];
    assert_eq!(plugins[0].parameters, expected);
}

#[test]
fn a_parameter_is_set_by_its_name_and_an_unknown_one_is_refused_by_name() {
    let mut clean = Clean::default();
    clean.set_parameter("maxAge", &json!(7)).unwrap();
    assert_eq!(clean.max_age, 7);
    let error = clean.set_parameter("max_age", &json!(8)).unwrap_err().to_string();
    assert!(
        error.starts_with("there is no parameter 'max_age'") && error.contains("maxAge"),
        "{error}"
    );
    let error = clean
        .set_parameter("maxAge", &json!("old"))
        .unwrap_err()
        .to_string();
    assert_eq!(error, "parameter 'maxAge' wants u64, but was given a text");
    assert_eq!(clean.max_age, 7, "a refused value changes nothing");
}

#[test]
fn a_parameter_of_a_plugin_is_set_through_its_operator() {
    let mut clean = Clean::default();
    clean
        .set_plugin_parameter("database", "address", &json!("localhost"))
        .unwrap();
    assert_eq!(clean.database.address, "localhost");
    clean
        .set_plugin_parameter("database", "databasePassword", &json!("hunter2"))
        .unwrap();
    assert_eq!(clean.database.password.expose(), "hunter2");
    assert!(
        clean
            .set_plugin_parameter("clock", "address", &json!("localhost"))
            .is_err()
    );
    assert!(
        clean
            .set_plugin_parameter("output", "address", &json!("localhost"))
            .is_err()
    );
}

#[test]
fn the_executor_reaches_every_port_and_plugin_by_name() {
    let mut clean = Clean::default();
    let inputs: Vec<_> = clean.input_ports().iter().map(|(name, _)| *name).collect();
    let outputs: Vec<_> = clean.output_ports().iter().map(|(name, _)| *name).collect();
    let services: Vec<_> = clean
        .plugins()
        .into_iter()
        .map(|(name, plugin)| (name, plugin.as_service().is_some()))
        .collect();
    assert_eq!(
        (inputs, outputs),
        (vec!["flights", "lines"], vec!["output", "type"])
    );
    assert_eq!(services, [("database", true), ("clock", false)]);
}

#[test]
fn a_handle_has_a_method_for_each_port_and_parameter() {
    let mut pipeline = Pipeline::new("flights");
    let first = pipeline
        .operator::<Clean>("first")
        .limit(3)
        .strict(true)
        .max_age(7)
        .replicas(2);
    let second = pipeline.operator::<Clean>("second").carrier_names(HashMap::new());
    second.clone().max_age(8);
    pipeline.connect(first.output(), second.flights());
    assert_eq!(
        (first.name().as_str(), format!("{second:?}").as_str()),
        ("first", "CleanHandle(\"second\")")
    );
    let description = pipeline.describe();
    assert!(
        description.contains("first") && description.contains("second"),
        "{description}"
    );
}

/// Operators of a public interface, whatever the lints of the crate.
pub mod generic {
    use pypz::prelude::*;
    use serde::de::DeserializeOwned;

    /// Hands on what it gets.
    #[derive(OperatorSpec, Debug)]
    pub struct Pass<T: Serialize + DeserializeOwned + Send + 'static, const N: u32 = 3> {
        input: InputPort<T, Json>,
        output: OutputPort<T, Json>,
        #[parameter]
        batch: u32,
    }

    impl<T: Serialize + DeserializeOwned + Send + 'static, const N: u32> Default for Pass<T, N> {
        fn default() -> Self {
            Self {
                input: InputPort::default(),
                output: OutputPort::default(),
                batch: N,
            }
        }
    }

    impl<T: Serialize + DeserializeOwned + Send + 'static, const N: u32> Operator for Pass<T, N> {
        async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
            self.output
                .send_all(self.input.retrieve().await?.into_iter().collect::<Vec<_>>())
                .await?;
            Ok(Progress::UntilInputsEnd)
        }
    }
}

#[test]
fn an_operator_may_be_generic() {
    let mut pipeline = Pipeline::new("pass");
    let texts = pipeline.operator::<generic::Pass<String>>("texts").batch(4);
    let more = pipeline.operator::<generic::Pass<String, 9>>("more");
    pipeline.connect(texts.output(), more.input());
    assert_eq!(
        generic::Pass::<u64, 9>::describe().parameters,
        [spec("batch", "u32", Some("9"), "")]
    );
}

macro_rules! sink {
    ($name:ident, $port:ty) => {
        #[derive(OperatorSpec, Debug, Default)]
        struct $name {
            input: $port,
        }

        impl Operator for $name {
            async fn on_running(&mut self, _cx: &Context) -> Result<Progress> {
                self.input.retrieve().await?;
                Ok(Progress::UntilInputsEnd)
            }
        }
    };
}

sink!(FlightSink, InputPort<Flight>);

#[test]
fn a_macro_may_write_an_operator() {
    let mut pipeline = Pipeline::new("flights");
    let clean = pipeline.operator::<Clean>("clean");
    let sink = pipeline.operator::<FlightSink>("sink");
    pipeline.connect(clean.output(), sink.input());
}

#[test]
fn what_is_wrong_is_refused_where_it_stands_with_what_to_write_instead() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    if cfg!(all(feature = "kafka", feature = "rabbitmq")) {
        cases.compile_fail("tests/ui/pinned/*.rs");
    }
}
