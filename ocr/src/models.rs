//! The files of the models: PP-OCRv6 small for detection and recognition, with the list of characters.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rten::{Model, RunOptions, ThreadPool, ValueOrView};
use rten_tensor::{AsView, NdTensor};
use sha2::{Digest, Sha256};

use crate::Error;

/// A file of the folder that scripts/fetch-ocr.sh fills.
#[derive(Debug, Clone, Copy)]
struct PinnedFile {
    name: &'static str,
    /// SHA-256 in hexadecimal digits.
    sha256: &'static str,
}

const DETECTOR: PinnedFile = PinnedFile {
    name: "PP-OCRv6_det_small.rten",
    sha256: "57c5778be784d7aace438a4ea1926864a7b5fd3d49c8e577799f8a83e8dcb022",
};
const RECOGNIZER: PinnedFile = PinnedFile {
    name: "PP-OCRv6_rec_small.rten",
    sha256: "b6eef947901c5ff0bf6ee62d8b46f58b1423666f0ae0c87b2f42127502925f8f",
};
const CHARACTERS: PinnedFile =
    PinnedFile { name: "ppocrv6_dict.txt", sha256: "b5f2bfe2bdd9448429e3e82b51c789775d9b42f2403d082b00662eb77e401c5d" };

impl PinnedFile {
    /// Reads the file and compares its hash.
    fn read(self, folder: &Path) -> Result<Vec<u8>, Error> {
        let path = folder.join(self.name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) => return Err(Error::ModelFile { path, source }),
        };
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        if hash == self.sha256 { Ok(bytes) } else { Err(Error::ModelHash { path }) }
    }

    fn load(self, folder: &Path) -> Result<Network, Error> {
        let path = folder.join(self.name);
        match Model::load(self.read(folder)?) {
            Ok(model) => Ok(Network { model, path, threads: Arc::new(ThreadPool::with_num_threads(1)) }),
            Err(source) => Err(Error::ModelContent { path, source: source.into() }),
        }
    }
}

/// A model with one input and one output, run by one thread.
pub(crate) struct Network {
    model: Model,
    path: PathBuf,
    threads: Arc<ThreadPool>,
}

impl Network {
    /// Runs the model on an image of `height` rows in three equal channels. `channels` holds the pixels of all three.
    pub(crate) fn run(&self, width: usize, height: usize, channels: Vec<f32>) -> Result<Vec<f32>, Error> {
        let input = NdTensor::from_data([1, 3, height, width], channels);
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let output = self.model.run_one(ValueOrView::from(input.view()), Some(options));
        let failed = |source: rten::RunError| Error::Run { path: self.path.clone(), source: source.into() };
        let values = output.map_err(failed)?.into_tensor::<f32>().ok_or_else(|| self.unexpected_output())?;
        Ok(values.into_data())
    }

    /// Returns the error for an output that is not what the model is known to give.
    pub(crate) fn unexpected_output(&self) -> Error {
        Error::ModelContent { path: self.path.clone(), source: "the output is not as expected".into() }
    }
}

/// The three files, loaded.
pub(crate) struct Models {
    pub(crate) detector: Network,
    pub(crate) recognizer: Network,
    /// Characters of the recogniser's classes from 1 on; class 0 is the blank of CTC.
    pub(crate) characters: Vec<char>,
}

impl Models {
    /// Loads the files of a folder.
    pub(crate) fn load(folder: &Path) -> Result<Self, Error> {
        let list = CHARACTERS.read(folder)?;
        let list = String::from_utf8_lossy(&list);
        let characters = list.lines().filter_map(|line| line.chars().next());
        // The last class is the space, which the list leaves out.
        let characters = characters.chain([' ']).collect();
        Ok(Self { detector: DETECTOR.load(folder)?, recognizer: RECOGNIZER.load(folder)?, characters })
    }
}
