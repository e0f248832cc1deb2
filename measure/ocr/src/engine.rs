//! Tesseract in this process: one engine, one line at a time.

use std::ffi::CStr;

use tesseract_plumbing::TessBaseApi;

use super::pgm::Image;

/// What is set, and why. `tesseract --print-parameters` explains each.
const SETTINGS: [(&CStr, &CStr); 6] = [
    // The line is found already; the engine only recognises.
    (c"tessedit_pageseg_mode", c"7"),
    (c"classify_bln_numeric_mode", c"1"),
    // Black on white is known: no second pass over the inverted line.
    (c"tessedit_do_invert", c"0"),
    // No dictionary knows these numbers.
    (c"tessedit_enable_doc_dict", c"0"),
    (c"lstm_choice_mode", c"0"),
    (c"debug_file", c"/dev/null"),
];

/// The resolution that the engine is told, in dots an inch, so that it does not guess.
const DPI: i32 = 300;

/// The reason why an engine could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum EngineError {
    /// The library found no model.
    #[error(
        "Tesseract has no model \"eng\": install tesseract-ocr-eng, or set TESSDATA_PREFIX to the folder of eng.traineddata"
    )]
    NoModel,
    /// A setting was refused.
    #[error("this Tesseract ({version}) has no setting {name:?}: version 5 is needed")]
    Setting {
        name: &'static CStr,
        version: String,
    },
}

/// An engine of Tesseract. It is slow to start (a tenth of a second) and is kept.
pub(super) struct Engine {
    api: TessBaseApi,
}

impl Engine {
    /// Loads the model, for lines of nothing but `characters`.
    pub(super) fn start(characters: &CStr) -> Result<Self, EngineError> {
        let mut api = TessBaseApi::create();
        // 1: the LSTM network alone.
        api.init_4(None, Some(c"eng"), 1)
            .map_err(|_| EngineError::NoModel)?;
        let characters = (c"tessedit_char_whitelist", characters);
        for (name, value) in SETTINGS.into_iter().chain([characters]) {
            api.set_variable(name, value)
                .map_err(|_| EngineError::Setting {
                    name,
                    version: tesseract_plumbing::version().to_string_lossy().into_owned(),
                })?;
        }
        Ok(Self { api })
    }

    /// The text of a line, without white space; empty where nothing was recognised.
    pub(super) fn read(&mut self, line: &Image) -> String {
        let size = |pixels: usize| i32::try_from(pixels).unwrap_or(0);
        let (width, height) = (size(line.width), size(line.height));
        if width == 0
            || height == 0
            || self
                .api
                .set_image(&line.pixels, width, height, 1, width)
                .is_err()
        {
            return String::new();
        }
        self.api.set_source_resolution(DPI);
        if self.api.recognize().is_err() {
            return String::new();
        }
        self.api.get_utf8_text().map_or_else(
            |_| String::new(),
            |text| {
                let text: &CStr = text.as_ref();
                text.to_string_lossy().split_whitespace().collect()
            },
        )
    }
}
