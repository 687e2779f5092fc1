//! From a name to a tree.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use cap_std::fs::Dir;
use serde::Serialize;

use super::choose::{WantedPlatform, is_index, shown};
use super::config::ImageConfig;
use super::furnish::furnish;
use super::name::ImageName;
use super::place::ImageStage;
use super::receipt::{IMAGE_RECEIPT, ImageReceipt, ReceiptLayer};
use super::source::ImageSource;
use crate::decoding::Decoder;
use crate::error::{Error, ImageError};
use crate::fetch::registry::{Descriptor, ImageIndex, ImageManifest, Platform};
use crate::fetch::{Fetched, Fetcher};
use crate::layers::{ImageTree, LayerError, apply};
use crate::model::{Checksum, Compression, ImageFiles};
use crate::report::{Event, Phase, Reporter};
use crate::sandbox;
use crate::tools::threads;

/// Layers that are brought at the same time.
const AT_ONCE: usize = 4;
/// How deep indexes may lie in each other.
const DEEPEST: u32 = 3;
/// Most layers that an image can have: what overlay file systems take is far below.
const MOST_LAYERS: usize = 1000;

/// How an image is pulled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PullOptions<'a> {
    /// For which machine.
    pub platform: &'a WantedPlatform,
    /// Whether plain http is spoken, where that is said.
    pub is_plain: Option<bool>,
    /// What the tree gets besides.
    pub files: &'a ImageFiles,
    /// This program, which decodes.
    pub program: &'a Path,
    /// Whether it takes the place of another image's tree.
    pub replaces: bool,
}

/// What was pulled.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PulledImage {
    /// What it is called.
    pub name: String,
    /// `OS/ARCHITECTURE[/VARIANT]`.
    pub platform: String,
    /// The index that the name meant, where that was one.
    pub index: Option<Checksum>,
    /// Its manifest.
    pub manifest: Checksum,
    /// Its configuration.
    pub config: Checksum,
    /// How many layers it has, and bytes of them as they were brought.
    pub layers: usize,
    /// See `layers`.
    pub size: u64,
    /// How many things its tree consists of.
    pub files: usize,
    /// The digest of its tree.
    pub tree: Checksum,
    /// What the image says and the tree has not: owners, devices, capabilities, set-user-id bits.
    pub not_kept: usize,
    /// Where it is.
    pub directory: PathBuf,
}

/// What was chosen.
struct Chosen {
    index: Option<Checksum>,
    digest: Checksum,
    manifest: ImageManifest,
    config: ImageConfig,
}

/// Pulls the image `name` into `directory`.
///
/// # Errors
/// When it cannot be had, is none, has nothing for the machine, or cannot be written. Nothing is there then that was
/// not there before.
pub(crate) fn pull(
    fetcher: &Fetcher<'_>,
    name: &ImageName,
    directory: &Path,
    options: PullOptions<'_>,
    reporter: &dyn Reporter,
) -> Result<PulledImage, Error> {
    let stage = ImageStage::new(directory, options.replaces)?;
    let source = ImageSource::open(fetcher, name, options.is_plain)?;
    let pulling = Pulling { source, name: name.to_string(), options, reporter };
    let chosen = pulling.choose()?;
    let (receipt, not_kept) = pulling.make(&chosen, &stage.path)?;
    stage.put()?;
    Ok(PulledImage {
        name: receipt.name,
        platform: receipt.platform,
        index: receipt.index,
        manifest: receipt.manifest,
        config: receipt.config,
        layers: receipt.layers.len(),
        size: crate::model::total(receipt.layers.iter().map(|layer| layer.size)),
        files: receipt.files.len(),
        tree: receipt.tree,
        not_kept,
        directory: directory.to_owned(),
    })
}

/// An image that is being pulled.
struct Pulling<'a> {
    source: ImageSource<'a>,
    name: String,
    options: PullOptions<'a>,
    reporter: &'a dyn Reporter,
}

impl Pulling<'_> {
    /// The manifest for the machine, and the configuration.
    fn choose(&self) -> Result<Chosen, Error> {
        let wanted = self.options.platform;
        let mut bytes = self.source.root()?;
        let mut index = None;
        for _ in 0..DEEPEST {
            let Some(found) = self.index(&bytes)? else { break };
            index = index.or_else(|| Some(Checksum::of(&bytes)));
            let all: Vec<_> = found.manifests;
            let best = wanted.best(&all).or(match all.as_slice() {
                // One that does not say for what it is: its configuration does.
                [one] if one.platform.is_none() => Some(one),
                _ => all.iter().find(|it| it.platform.is_none() && is_index(it)),
            });
            let Some(best) = best else {
                let there = all.iter().filter_map(|it| it.platform.as_ref());
                let there = there.filter(|it| it.os != "unknown").map(shown).collect();
                return Err(self.no_platform(there));
            };
            bytes = self.source.manifest(best)?;
        }
        let digest = Checksum::of(&bytes);
        let manifest = self.manifest(&bytes)?;
        let config = self.source.document(&manifest.config)?;
        let config: ImageConfig = serde_json::from_slice(&config)
            .map_err(|error| self.wrong(&format!("its configuration makes no sense: {error}")))?;
        if !wanted.is_of(&config.os, &config.architecture) {
            let (os, architecture) = (config.os.clone(), config.architecture.clone());
            let there = shown(&Platform { os, architecture, variant: None });
            if index.is_none() {
                return Err(self.no_platform(vec![there]));
            }
            self.reporter.warning(format!(
                "{}: its index says that it is for {wanted}, and its configuration that it is for {there}",
                self.name
            ));
        }
        if config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(self.wrong("its configuration names another number of layers"));
        }
        Ok(Chosen { index, digest, manifest, config })
    }

    /// The index that these bytes are; `None` of a manifest.
    fn index(&self, bytes: &[u8]) -> Result<Option<ImageIndex>, Error> {
        let value: serde_json::Value = serde_json::from_slice(bytes)
            .map_err(|error| self.wrong(&format!("it is no manifest: {error}")))?;
        let has = |key: &str| value.get(key).is_some();
        match (has("manifests"), has("layers") || has("config"), has("fsLayers")) {
            (true, false, false) => serde_json::from_value(value)
                .map(Some)
                .map_err(|error| self.wrong(&format!("its index makes no sense: {error}"))),
            (false, true, false) => Ok(None),
            (false, _, true) => Err(self.wrong(
                "it has the first version of docker's format, which has no digests worth the name: it must be pushed anew",
            )),
            _ => Err(self.wrong("it is neither an index nor a manifest")),
        }
    }

    fn manifest(&self, bytes: &[u8]) -> Result<ImageManifest, Error> {
        let manifest: ImageManifest = serde_json::from_slice(bytes)
            .map_err(|error| self.wrong(&format!("its manifest makes no sense: {error}")))?;
        if manifest.layers.len() > MOST_LAYERS {
            return Err(self.wrong("it has far too many layers"));
        }
        for layer in &manifest.layers {
            let kind = layer.media_type.as_str();
            if kind.ends_with("+encrypted") {
                return Err(
                    self.wrong("its layers are encrypted, and there is no key for them here")
                );
            }
            if !kind.contains(".tar") {
                let why = format!("it is no image of layers of files: one is {kind}");
                return Err(self.wrong(&why));
            }
        }
        Ok(manifest)
    }

    fn wrong(&self, why: &str) -> Error {
        self.source.wrong(why)
    }

    fn no_platform(&self, there: Vec<String>) -> Error {
        let wanted = self.options.platform.to_string();
        ImageError::Platform { name: self.name.clone(), wanted, there }.into()
    }

    /// Makes the tree, and says what it is, and how much of it a user cannot have.
    fn make(&self, chosen: &Chosen, directory: &Path) -> Result<(ImageReceipt, usize), Error> {
        let layers = &chosen.manifest.layers;
        let total = Some(crate::model::total(layers.iter().map(|layer| layer.size)));
        self.reporter.event(Event::Started { phase: Phase::Download, total });
        self.reporter.event(Event::Started { phase: Phase::Unpack, total: None });
        let is_over = AtomicBool::new(false);
        let (senders, receivers): (Vec<_>, Vec<_>) = layers.iter().map(|_| channel()).unzip();
        let jobs: Vec<_> = layers.iter().zip(senders).collect();
        let made = thread::scope(|scope| {
            let bringing = threads::hand(scope, (), |()| self.bring(&jobs, &is_over));
            if bringing.is_err() {
                // There is no other thread to be had: one after the other.
                self.bring(&jobs, &is_over);
            }
            // A thread is confined for ever, and this one has more to do.
            let making = threads::hand(scope, receivers, |receivers| {
                let confinement = sandbox::confine_with_pipes(&[directory]);
                self.reporter.detail(confinement.to_string());
                self.apply(chosen, &receivers, directory)
            });
            let made = match making {
                Ok(task) => task.join(),
                Err(receivers) => Ok(self.apply(chosen, &receivers, directory)),
            };
            is_over.store(true, Ordering::Relaxed);
            if let Ok(bringing) = bringing {
                drop(bringing.join());
            }
            made
        });
        let made = made.unwrap_or(Err(Error::Panicked))?;
        self.reporter.event(Event::Finished { phase: Phase::Download });
        self.reporter.event(Event::Finished { phase: Phase::Unpack });
        Ok(made)
    }

    /// Brings the layers, several at the same time.
    fn bring(&self, jobs: &[(&Descriptor, Sender<Result<Fetched, Error>>)], is_over: &AtomicBool) {
        let _ = threads::each(AT_ONCE, jobs, |(layer, sender)| {
            if self.reporter.is_cancelled() || is_over.load(Ordering::Relaxed) {
                return Err(());
            }
            // Nobody waits for it any more where another one failed.
            let _ = sender.send(self.source.blob(layer, Some(Phase::Download)));
            Ok(())
        });
    }

    /// Applies the layers, each as soon as it is there.
    fn apply(
        &self,
        chosen: &Chosen,
        receivers: &[Receiver<Result<Fetched, Error>>],
        directory: &Path,
    ) -> Result<(ImageReceipt, usize), Error> {
        let error = |source| Error::File { path: directory.to_owned(), source };
        let (mut decoder, kept) = Decoder::start_or_here(self.options.program);
        self.reporter.detail(kept.how);
        let root = Dir::from_std_file(File::open(directory).map_err(error)?);
        let mut tree = ImageTree::new(&root);
        let mut layers = Vec::new();
        let parts = chosen.manifest.layers.iter().zip(&chosen.config.rootfs.diff_ids);
        for ((layer, diff_id), receiver) in parts.zip(receivers) {
            let fetched = receiver.recv().map_err(|_| Error::Cancelled)??;
            let got = self.apply_one(&mut tree, layer, &fetched, &mut decoder)?;
            if got.to_string() != *diff_id {
                return Err(ImageError::Changed {
                    name: self.name.as_str().into(),
                    layer: layer.digest.as_str().into(),
                    got: Box::new(got),
                }
                .into());
            }
            let (digest, size) = (fetched.checksum().clone(), layer.size);
            layers.push(ReceiptLayer { digest, size, diff_id: got });
        }
        let execution = chosen.config.config.clone().unwrap_or_default();
        let furnished = furnish(&mut tree, self.options.files, &execution);
        furnished.map_err(|source| self.layer_error("that this program adds", source))?;
        let receipt = self.receipt(chosen, layers, &tree)?;
        let not_kept = tree.nodes().values().filter(|node| !node.is_kept()).count();
        let text = serde_json::to_vec(&receipt).map_err(io::Error::other).map_err(error)?;
        tree.add_file(IMAGE_RECEIPT, 0o644, &text)
            .map_err(|source| self.layer_error("that this program adds", source))?;
        tree.finish();
        Ok((receipt, not_kept))
    }

    /// Applies a layer, and says what its content's digest is.
    fn apply_one(
        &self,
        tree: &mut ImageTree<'_>,
        layer: &Descriptor,
        fetched: &Fetched,
        decoder: &mut Decoder,
    ) -> Result<Checksum, Error> {
        let mut measuring = self.reporter.measure_on("layer", &layer.digest);
        measuring.add("bytes", layer.size);
        let applied: Result<_, io::Error> = fetched.read(|from| {
            let mut head = Vec::new();
            from.take(4).read_to_end(&mut head)?;
            let compression = compression(&head);
            let whole = Cursor::new(head).chain(from);
            Ok(decoder.decode(compression, whole, |open| apply(tree, open, self.reporter)))
        });
        let applied =
            applied.map_err(|source| Error::Cache { path: fetched.path().to_owned(), source })?;
        applied.map_err(|source| self.layer_error(&layer.digest, source))
    }

    fn layer_error(&self, digest: &str, source: LayerError) -> Error {
        let (name, source) = (self.name.as_str().into(), Box::new(source));
        ImageError::Layer { name, digest: digest.into(), source }.into()
    }

    fn receipt(
        &self,
        chosen: &Chosen,
        layers: Vec<ReceiptLayer>,
        tree: &ImageTree<'_>,
    ) -> Result<ImageReceipt, Error> {
        let config = chosen.manifest.config.checksum();
        let config = config.ok_or_else(|| self.wrong("its configuration has no SHA-256"))?;
        let (os, architecture) = (chosen.config.os.clone(), chosen.config.architecture.clone());
        let (files, digest) = ImageReceipt::entries(tree.nodes());
        Ok(ImageReceipt {
            format: ImageReceipt::format(),
            name: self.name.clone(),
            platform: shown(&Platform { os, architecture, variant: None }),
            index: chosen.index.clone(),
            manifest: chosen.digest.clone(),
            config,
            layers,
            made_with: env!("CARGO_PKG_VERSION").to_owned(),
            tree: digest,
            files,
        })
    }
}

/// How something with these first bytes is compressed: what it is called says that not always.
fn compression(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        // The second one is of a frame that is passed over, as they may come first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}
