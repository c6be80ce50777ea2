//! Codecs: values to bytes and back, beside apache-avro and serde_json used directly.

#![allow(missing_docs, clippy::unwrap_used, reason = "a program")]

use std::hint::black_box;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{AvroSchema, Schema};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pypz::Codec;
use pypz::prelude::*;
use serde::de::DeserializeOwned;

#[derive(Debug, Clone, Serialize, Deserialize, AvroSchema)]
struct Small {
    text: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, AvroSchema)]
struct Big {
    id: i64,
    name: String,
    origin: String,
    tags: Vec<String>,
    delays: Vec<f64>,
    cancelled: bool,
    note: Option<String>,
}

fn small() -> Small {
    Small {
        text: "a line of some sixty characters, as a log or a sensor says".to_owned(),
    }
}

fn big() -> Big {
    Big {
        id: 4_711,
        name: "a flight".to_owned(),
        origin: "EWR".to_owned(),
        tags: (0..10).map(|tag| format!("tag {tag}")).collect(),
        delays: (0..10).map(f64::from).collect(),
        cancelled: false,
        note: Some("a note".to_owned()),
    }
}

fn compare<T>(criterion: &mut Criterion, name: &str, value: &T)
where
    T: Serialize + DeserializeOwned + AvroSchema + Send + 'static,
{
    let mut codec = <Avro as Codec<T>>::new().unwrap();
    let schema: Schema = T::get_schema();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    let mut group = criterion.benchmark_group(format!("codec/{name}"));
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    let mut buffer = Vec::with_capacity(1_024);
    group.bench_function("avro/encode/ours", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            codec.encode(black_box(value), &mut buffer).unwrap();
        });
    });
    group.bench_function("avro/encode/bare", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            writer.write_ser(&mut buffer, black_box(value)).unwrap();
        });
    });
    group.bench_function("avro/decode/ours", |bencher| {
        bencher.iter(|| -> T { codec.decode(black_box(&bytes)).unwrap() });
    });
    group.bench_function("avro/decode/bare", |bencher| {
        bencher.iter(|| reader.read_deser::<T>(&mut black_box(&bytes[..])).unwrap());
    });
    let mut json = <Json as Codec<T>>::new().unwrap();
    let text = serde_json::to_vec(value).unwrap();
    group.bench_function("json/encode/ours", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            json.encode(black_box(value), &mut buffer).unwrap();
        });
    });
    group.bench_function("json/encode/bare", |bencher| {
        bencher.iter(|| {
            buffer.clear();
            serde_json::to_writer(&mut buffer, black_box(value)).unwrap();
        });
    });
    group.bench_function("json/decode/ours", |bencher| {
        bencher.iter(|| -> T { json.decode(black_box(&text)).unwrap() });
    });
    group.bench_function("json/decode/bare", |bencher| {
        bencher.iter(|| serde_json::from_slice::<T>(black_box(&text)).unwrap());
    });
    group.finish();
}

fn codecs(criterion: &mut Criterion) {
    compare(criterion, "small", &small());
    compare(criterion, "big", &big());
}

criterion_group!(benches, codecs);
criterion_main!(benches);
