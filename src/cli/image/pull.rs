//! `elsewhere image pull`: an image of a registry becomes a tree.

use std::path::PathBuf;

use clap::Args;
use indicatif::HumanBytes;

use crate::cli::options::{Output, Sources};
use crate::cli::session::fetch_options;
use crate::error::Error;
use crate::fetch::Fetcher;
use crate::host::Host;
use crate::images::{self, ImageName, PullOptions, PulledImage, WantedPlatform};
use crate::model::{escape, shell_word};
use crate::terminal::Terminal;

/// Pull an image from a registry into a directory
///
/// The layers come several at a time, each is proved by its digest, and becomes files in a directory beside the
/// destination as soon as it is there: nothing goes to /tmp, and a run that is killed leaves what was there. No root is
/// needed: owners, devices and file capabilities are not kept, and the tree's receipt says which there were. The tree has
/// what Apptainer, SingularityCE, Charliecloud, crun and podman look for, and runs read-only: `apptainer run DIR`,
/// `ch-run DIR`, `podman run --rootfs DIR:O`. Names and passwords are read from the files that docker, podman and skopeo
/// write, and from .netrc.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  elsewhere image pull alpine:3.20
  elsewhere image pull -o /scratch/images/cmssw ghcr.io/cms-sw/cmssw:el9
  elsewhere image pull -a aarch64 docker://debian:12
  elsewhere image pull --platform linux/arm/v7 -o debian-arm debian:12
  elsewhere image pull registry.example.org/hpc/tool@sha256:DIGEST
  elsewhere image pull -o tool oci:/srv/layouts/tool:1.4
  elsewhere image verify alpine_3.20")]
pub(super) struct Pull {
    /// Directory to make: not there, or empty; without this NAME_TAG, here
    #[arg(short = 'o', long = "output", value_name = "DIR")]
    destination: Option<PathBuf>,
    /// Take the place of the image's tree that is in the directory
    #[arg(long)]
    replace: bool,
    /// For a machine of this architecture: x86_64, aarch64, ppc64le, s390x, or another by the name that images have;
    /// without this, for this machine
    #[arg(short, long, value_name = "ARCH", conflicts_with = "platform")]
    arch: Option<WantedPlatform>,
    /// For this platform, OS/ARCHITECTURE[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<WantedPlatform>,
    /// Speak plain http with the registry, whose answers nothing protects then. With one on this machine that is
    /// done unless this says =false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    plain_http: Option<bool>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    pub(super) output: Output,
    /// The image: HOST/NAME:TAG or HOST/NAME@sha256:DIGEST, also with docker:// or oci:// before it, or without HOST/ or
    /// :TAG; or oci:DIR:TAG in a directory in OCI's layout
    #[arg(value_name = "IMAGE")]
    image: String,
}

impl Pull {
    /// Runs the command.
    pub(super) fn execute(&self, host: &Host, terminal: &Terminal) -> Result<(), Error> {
        let settings = self.sources.settings(host)?;
        let catalog = &settings.catalog;
        let name = ImageName::read(&self.image, catalog.registries()).map_err(Error::Usage)?;
        let name = match name {
            ImageName::Layout(directory, tag) => ImageName::Layout(host.absolute(&directory), tag),
            name => name,
        };
        let platform = match self.platform.as_ref().or(self.arch.as_ref()) {
            Some(platform) => platform.clone(),
            None => WantedPlatform::of(host.facts().arch.ok_or_else(|| {
                Error::Usage("name the machine that it is for with --platform".to_owned())
            })?),
        };
        let mut options = fetch_options(host, &self.sources, &settings.config)?;
        options.registries = catalog.registries().clone();
        let fetcher = Fetcher::new(options, terminal)?;
        let directory = self.destination.clone().unwrap_or_else(|| name.file_name().into());
        let program = host.executable();
        let options = PullOptions {
            platform: &platform,
            is_plain: self.plain_http,
            files: catalog.image_files(),
            program: &program,
            replaces: self.replace,
        };
        let pulled = images::pull(&fetcher, &name, &host.absolute(&directory), options, terminal)?;
        match self.output.json {
            true => terminal.output_json(&pulled),
            false => tell(&pulled, &directory.to_string_lossy(), terminal),
        }
        Ok(())
    }
}

fn tell(pulled: &PulledImage, directory: &str, terminal: &Terminal) {
    let PulledImage { name, platform, manifest, layers, size, files, not_kept, .. } = pulled;
    terminal.line(format_args!("pulled {} for {platform}: {manifest}", escape(name)));
    terminal.line(format_args!("{layers} layers, {}; {files} files", HumanBytes(*size)));
    if *not_kept > 0 {
        terminal.line(format_args!(
            "{not_kept} of them have an owner, a device or a right that only root can give: the receipt names them"
        ));
    }
    terminal.line(format_args!("try: elsewhere ranch {}", shell_word(directory)));
}
