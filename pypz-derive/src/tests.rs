//! From structs to models and error texts. That the generated code compiles and works is tested with the `pypz` crate.

use quote::{ToTokens, quote};
use syn::{DeriveInput, Type, parse_quote};

use crate::errors::Errors;
use crate::parse::{Model, Subject};
use crate::ports::Direction;
use crate::text;

fn operator(input: &DeriveInput) -> Model {
    let mut errors = Errors::default();
    let model = Model::parse(input, Subject::Operator, &mut errors);
    assert_eq!(errors.messages(), Vec::<String>::new());
    model.unwrap()
}

/// What is said of an operator with these fields.
fn refused(fields: impl ToTokens) -> Vec<String> {
    let mut errors = Errors::default();
    Model::parse(
        &parse_quote!(struct Clean { #fields }),
        Subject::Operator,
        &mut errors,
    );
    errors.messages()
}

fn assert_refused(fields: impl ToTokens, words: &[&str]) {
    let text = fields.to_token_stream().to_string();
    let messages = refused(fields);
    assert_eq!(messages.len(), words.len(), "{text}: {messages:?}");
    for (message, word) in messages.iter().zip(words) {
        assert!(message.contains(word), "{text}: '{message}' has no '{word}'");
    }
}

#[test]
fn a_field_is_a_port_by_the_name_of_its_type_or_by_its_attribute() {
    let model = operator(&parse_quote! {
        struct Clean {
            flights: pypz::InputPort<Flight>,
            output: KafkaOutputPort<Flight, Json>,
            #[port(input)]
            lines: Lines,
            #[port(output)]
            r#type: (OutputPort<Flight>),
            seen: Vec<InputPort<Flight>>,
            port: PhantomData<u8>,
        }
    });
    let ports: Vec<_> = model
        .ports
        .iter()
        .map(|port| (port.part.name.as_str(), port.direction))
        .collect();
    let (input, output) = (Direction::Input, Direction::Output);
    assert_eq!(
        ports,
        [
            ("flights", input),
            ("output", output),
            ("lines", input),
            ("type", output)
        ]
    );
}

#[test]
fn a_parameter_is_called_like_its_field_unless_it_has_a_name_of_its_own() {
    let model = operator(&parse_quote! {
        struct Clean {
            #[parameter] limit: u64,
            #[parameter()] r#in: u64,
            #[parameter(required)] strict: bool,
            #[parameter(name = "recordCount")] record_count: u64,
            #[parameter(name = "max-age", required,)] max_age: u64,
        }
    });
    let parameters: Vec<_> = model
        .parameters
        .iter()
        .map(|parameter| (parameter.name.value(), parameter.required))
        .collect();
    let expected = [
        ("limit", false),
        ("in", false),
        ("strict", true),
        ("recordCount", false),
        ("max-age", true),
    ];
    assert_eq!(
        parameters,
        expected.map(|(name, required)| (name.to_owned(), required))
    );
}

#[test]
fn a_plugin_names_the_plugins_that_start_before_it() {
    let model = operator(&parse_quote! {
        struct Clean {
            #[plugin(depends_on = ["database", "clock",])] cache: Cache,
            #[plugin] database: Database,
            #[plugin(depends_on = ["database"])] clock: Clock,
        }
    });
    let on = |index: usize| {
        model.plugins[index]
            .depends_on
            .iter()
            .map(syn::LitStr::value)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (on(0), on(1), on(2)),
        (
            vec!["database".into(), "clock".into()],
            vec![],
            vec!["database".into()]
        )
    );
}

#[test]
fn a_doc_comment_becomes_one_line() {
    let model = operator(&parse_quote! {
        /// Cleans   flights.
        ///
        /// Drops the cancelled ones.
        struct Clean {
            /** The
                limit. */
            #[parameter] limit: u64,
        }
    });
    assert_eq!(model.doc, "Cleans flights. Drops the cancelled ones.");
    assert_eq!(model.parameters[0].part.doc, "The limit.");
}

#[test]
fn a_type_is_shown_as_one_writes_it() {
    for written in [
        "u64",
        "HashMap<String, Option<Vec<u64>>>",
        "[u8; 4]",
        "(u8, std::time::Duration)",
        "&'static str",
        "Box<dyn Fn(u8) -> u8 + Send + 'static>",
        "<T as Iterator>::Item",
    ] {
        let ty: Type = syn::parse_str(written).unwrap();
        assert_eq!(text::written(&ty), written);
    }
}

#[test]
fn an_attribute_that_is_not_understood_is_refused_with_what_to_write() {
    let known = "write #[parameter], or in its brackets `required`, `name = \"recordCount\"` or both";
    for attribute in [
        quote!(#[parameter(requierd)]),
        quote!(#[parameter(required = true)]),
        quote!(#[parameter(required, required)]),
        quote!(#[parameter(name)]),
        quote!(#[parameter(name = 3)]),
        quote!(#[parameter(name = "a", name = "b")]),
        quote!(#[parameter(pypz::required)]),
        quote!(#[parameter("recordCount")]),
        quote!(#[parameter = "recordCount"]),
    ] {
        assert_refused(quote!(#attribute limit: u64), &[known]);
    }
    assert_refused(
        quote!(#[plugin(depends_on = "b")] a: A),
        &["#[plugin(depends_on = [\"other_field\"])]"],
    );
    assert_refused(
        quote!(#[plugin(after = ["b"])] a: A),
        &["unknown key `after`: write #[plugin]"],
    );
    for attribute in [
        quote!(#[port]),
        quote!(#[port(sideways)]),
        quote!(#[port(input, output)]),
        quote!(#[port = 1]),
    ] {
        assert_refused(
            quote!(#attribute a: A),
            &["write #[port(input)] or #[port(output)]"],
        );
    }
}

#[test]
fn a_field_is_one_thing_only() {
    assert_refused(
        quote!(#[parameter] #[plugin] a: A),
        &["only one of them: remove one attribute"],
    );
    assert_refused(
        quote!(#[parameter] #[parameter(required)] a: A),
        &["stands here twice"],
    );
    assert_refused(
        quote!(#[parameter] a: InputPort<A>),
        &["an input port, which is no plugin or parameter"],
    );
    assert_refused(
        quote!(#[port(input)] a: OutputPort<A>),
        &["an output port: remove #[port(...)]"],
    );
}

#[test]
fn names_that_collide_are_refused() {
    let twice = quote!(#[parameter] limit: u64, #[parameter(name = "limit")] other: u64);
    assert_refused(twice, &["there is a parameter 'limit' already"]);
    let port = quote!(output: OutputPort<A>, #[parameter(name = "output")] other: u64);
    assert_refused(port, &["there is a port 'output' already"]);
    let plugin = quote!(#[plugin] db: Database, #[parameter(name = "db")] other: u64);
    assert_refused(plugin, &["there is a plugin 'db' already"]);
    assert_refused(
        quote!(replicas: InputPort<A>),
        &["every handle has a method `replicas`"],
    );
    assert_refused(
        quote!(#[parameter] name: String),
        &["#[parameter(name = \"name\")]"],
    );
    assert_refused(quote!(#[plugin] name: Database), &[]);
}

#[test]
fn names_that_could_not_be_set_or_sent_are_refused() {
    for name in ["", "a.b", ">a", "#a", "a b", "1a", "größe"] {
        assert_refused(
            quote!(#[parameter(name = #name)] a: u64),
            &["the name of a parameter has at most 63 letters"],
        );
    }
    assert_refused(quote!(größe: InputPort<A>), &["the name of a port or plugin"]);
    assert_refused(
        quote!(#[parameter] größe: u64),
        &["give it one with #[parameter(name = \"...\")]"],
    );
}

#[test]
fn plugins_depend_on_plugins_and_not_in_circles() {
    assert_refused(
        quote!(#[plugin(depends_on = ["b"])] a: A),
        &["'b' is no plugin: name a field with #[plugin], as a are"],
    );
    let circle = quote! {
        #[plugin(depends_on = ["c"])] a: A,
        #[plugin(depends_on = ["c"])] b: B,
        #[plugin(depends_on = ["d", "b"])] c: C,
        #[plugin] d: D,
    };
    assert_refused(circle, &["never start: c waits for b waits for c; take one out"]);
    assert_refused(quote!(#[plugin(depends_on = ["a"])] a: A), &["a waits for a"]);
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let fields = quote!(#[parameter(a)] a: A, #[plugin(b)] b: B, #[port(c)] c: C, replicas: OutputPort<D>);
    assert_refused(
        fields,
        &[
            "unknown key `a`",
            "unknown key `b`",
            "unknown direction `c`",
            "`replicas`",
        ],
    );
}

#[test]
fn only_structs_with_named_fields_that_own_what_they_hold_have_parts() {
    let cases: [(DeriveInput, &str); 4] = [
        (
            parse_quote!(
                struct Clean(OutputPort<A>);
            ),
            "not a tuple struct: write `struct Clean { ... }`",
        ),
        (
            parse_quote!(
                enum Clean {
                    A,
                }
            ),
            "not an enum",
        ),
        (parse_quote!(union Clean { a: u8 }), "not a union"),
        (
            parse_quote!(
                struct Clean<'a> {
                    a: &'a str,
                }
            ),
            "cannot borrow",
        ),
    ];
    for (input, word) in cases {
        let mut errors = Errors::default();
        assert!(Model::parse(&input, Subject::Operator, &mut errors).is_none());
        let messages = errors.messages();
        assert!(
            messages.len() == 1 && messages[0].contains(word),
            "{messages:?} has no '{word}'"
        );
    }
    operator(&parse_quote!(
        struct Clean;
    ));
}

#[test]
fn a_plugin_has_no_ports() {
    let mut errors = Errors::default();
    Model::parse(
        &parse_quote!(
            struct Db {
                input: InputPort<A>,
            }
        ),
        Subject::Plugin,
        &mut errors,
    );
    assert!(errors.messages()[0].contains("a plugin has no ports"));
}

#[test]
fn what_was_understood_is_generated_beside_the_errors() {
    let input = parse_quote!(
        struct Clean {
            output: OutputPort<A>,
            #[parameter(requierd)]
            limit: u64,
        }
    );
    let code = crate::expand(&input, Subject::Operator).to_string();
    assert!(
        code.contains("compile_error") && code.contains("OperatorSpec for Clean"),
        "{code}"
    );
    syn::parse_str::<syn::File>(&code).unwrap();
}

/// The spec name of an operator, and what is said of it.
fn spec(input: &DeriveInput) -> (Option<String>, String) {
    let mut errors = Errors::default();
    let model = Model::parse(input, Subject::Operator, &mut errors);
    let spec = model.and_then(|model| model.spec).map(|spec| spec.value());
    (spec, errors.messages().join("; "))
}

#[test]
fn a_spec_name_is_module_and_class_of_one_type() {
    let good = parse_quote!(
        #[operator(spec = "flights.operators:Carriers")]
        struct Carriers {}
    );
    assert_eq!(
        spec(&good),
        (Some("flights.operators:Carriers".to_owned()), String::new())
    );
}

#[test]
fn a_spec_name_that_is_none_or_of_many_types_is_refused() {
    let bad: [(DeriveInput, &str); 6] = [
        (
            parse_quote!(
                #[operator(spec = "Carriers")]
                struct C {}
            ),
            "is module:Class",
        ),
        (
            parse_quote!(
                #[operator(spec = "a b:C")]
                struct C {}
            ),
            "is module:Class",
        ),
        (
            parse_quote!(
                #[operator(name = "a:C")]
                struct C {}
            ),
            "unknown key `name`",
        ),
        (
            parse_quote!(
                #[operator]
                struct C {}
            ),
            "write #[operator(spec",
        ),
        (
            parse_quote!(
                #[operator(spec = "a:B", spec = "a:C")]
                struct C {}
            ),
            "said twice",
        ),
        (
            parse_quote!(
                #[operator(spec = "a:C")]
                struct C<T> {
                    t: T,
                }
            ),
            "register_operator!",
        ),
    ];
    for (input, word) in bad {
        let (_, message) = spec(&input);
        assert!(message.contains(word), "'{message}' has no '{word}'");
    }
}
