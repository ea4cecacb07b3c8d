use burn::tensor::Device;

use crate::task::{Precision, ResolvedTask};
use crate::{Error, Result};

/// Whether a task's settings can be.
pub(super) fn check(task: &ResolvedTask) -> Result<()> {
    let model = &task.task.model;
    let train = &task.task.train;
    let wrong = |setting: &str, found: String, expected: &str| Err(Error::setting(setting, found, expected));
    let share = |value: f64| (0.0..1.0).contains(&value);
    if model.heads == 0 || model.width == 0 || !model.width.is_multiple_of(model.heads) {
        let found = format!("width {}, heads {}", model.width, model.heads);
        return wrong("model.width", found, "a multiple of `model.heads`");
    }
    if model.precision == Precision::Bf16 && crate::model::device()? == Device::flex() {
        let expected = "f32, or a backend that has it: RELATA_BACKEND=cuda, tch or tch-cuda";
        return wrong("model.precision", "bf16 on the Flex backend".to_owned(), expected);
    }
    if model.blocks.is_empty() || model.blocks.iter().any(Vec::is_empty) {
        return wrong(
            "model.blocks",
            format!("{:?}", model.blocks),
            "at least one block, each with at least one kind of attention",
        );
    }
    if model.text == 0 {
        return wrong("model.text", model.text.to_string(), "at least 1");
    }
    if !share(train.edge_dropout) || !share(train.label_smoothing) || !share(train.mask) {
        let found = format!("{}, {}, {}", train.edge_dropout, train.label_smoothing, train.mask);
        return wrong("train.edge_dropout, train.label_smoothing, train.mask", found, "shares from 0 to below 1");
    }
    if !(train.learning_rate > 0.0 && train.learning_rate.is_finite()) {
        return wrong("train.learning_rate", train.learning_rate.to_string(), "a number above 0");
    }
    if train.clip.is_nan() || train.clip <= 0.0 {
        return wrong("train.clip", train.clip.to_string(), "a number above 0");
    }
    for (setting, found) in [
        ("train.batch", train.batch),
        ("train.accumulate", train.accumulate),
        ("train.tokens", train.tokens),
        ("train.members", train.members as usize),
    ] {
        if found == 0 {
            return wrong(setting, found.to_string(), "at least 1");
        }
    }
    for (setting, found) in [("train.warm_up", train.warm_up), ("train.ema", train.ema), ("train.validation", train.validation)] {
        if !share(found) {
            return wrong(setting, found.to_string(), "a share from 0 to below 1");
        }
    }
    if train.patience > 0 && train.validation == 0.0 {
        return wrong(
            "train.patience",
            train.patience.to_string(),
            "0, or a `train.validation` above 0 that tells what is better",
        );
    }
    if !(train.checkpoint_minutes >= 0.0 && train.checkpoint_minutes.is_finite()) {
        return wrong("train.checkpoint_minutes", train.checkpoint_minutes.to_string(), "a number from 0");
    }
    Ok(())
}
