//! What stamping costs per frame of 1280x720: the pipeline's own share of the latency that it measures.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use stamp::{Line, Plane, PlaneMut, STRIP_HEIGHT, STRIP_WIDTH, Stamp};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
const STAMP: Stamp = Stamp {
    frame: 4_711,
    time_us: 1_763_000_000_123_456,
};

fn stamping(criterion: &mut Criterion) {
    let mut data = vec![100; WIDTH * HEIGHT];
    let mut group = criterion.benchmark_group("stamp/720p");

    let mut luma = PlaneMut::new(&mut data, WIDTH, HEIGHT, WIDTH).expect("the size of the data");
    group.bench_function("draw_generation", |bencher| {
        bencher.iter(|| stamp::draw_generation(black_box(&mut luma), black_box(STAMP)));
    });
    group.bench_function("draw_consumption", |bencher| {
        bencher.iter(|| stamp::draw_consumption(black_box(&mut luma), black_box(STAMP)));
    });

    let luma = Plane::new(&data, WIDTH, HEIGHT, WIDTH).expect("the size of the data");
    group.bench_function("read_blocks", |bencher| {
        bencher.iter(|| stamp::read_blocks(black_box(&luma)));
    });
    let mut strips = Vec::with_capacity(2 * STRIP_WIDTH * STRIP_HEIGHT);
    group.bench_function("both strips", |bencher| {
        bencher.iter(|| {
            strips.clear();
            stamp::strip(black_box(&luma), Line::Generation, &mut strips);
            stamp::strip(black_box(&luma), Line::Consumption, &mut strips);
        });
    });
    group.finish();

    let text = stamp::line::format(STAMP);
    criterion.bench_function("stamp/line::parse", |bencher| {
        bencher.iter(|| stamp::line::parse(black_box(&text)));
    });
}

criterion_group!(benches, stamping);
criterion_main!(benches);
