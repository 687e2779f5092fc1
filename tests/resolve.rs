//! What the resolver chooses, and what it says where it cannot: a test for each feature and each
//! error.

// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

mod scenario;

use scenario::{package, scenario};

#[test]
fn follows_requires_and_takes_the_newest() {
    let case = scenario()
        .with(package("app-1.9-1").requires("missing"))
        .with(package("app-1.10-1").requires("lib >= 2").requires("data"))
        .with(package("lib-1.0-1"))
        .with(package("lib-2.0-9"))
        .with(package("lib-2.0-10"))
        .with(package("data-1-1.noarch"))
        .with(package("unrelated-1-1"));
    assert_eq!(case.chooses(), "app-1.10-1 data-1-1.noarch lib-2.0-10");
}

#[test]
fn takes_an_older_package_where_the_newest_does_not_fit() {
    let case = scenario()
        .with(package("app-1-1").requires("lib").requires("tool"))
        .with(package("tool-1-1").requires("lib < 2"))
        .with(package("lib-2-1"))
        .with(package("lib-1-1"));
    assert_eq!(case.chooses(), "app-1-1 lib-1-1 tool-1-1");
}

#[test]
fn epochs_tildes_and_carets_order_versions() {
    let case = scenario()
        .with(package("app-1-1").requires("a").requires("b").requires("c >= 1.0"))
        .with(package("a-9.9-1"))
        .with(package("a-1:1.0-1"))
        .with(package("b-1.0~rc2-1"))
        .with(package("b-1.0-1"))
        .with(package("c-1.0-1"))
        .with(package("c-1.0^git5-1"))
        .with(package("c-1.1~rc1-0"));
    assert_eq!(case.chooses(), "a-1:1.0-1 app-1-1 b-1.0-1 c-1.1~rc1-0");
}

#[test]
fn files_are_capabilities() {
    let case = scenario()
        .with(package("app-1-1").requires("/usr/bin/tool").requires("/usr/share/virtual"))
        .with(package("tools-1-1").file("/usr/bin/tool"))
        .with(package("shared-1-1").provides("/usr/share/virtual"));
    assert_eq!(case.chooses(), "app-1-1 shared-1-1 tools-1-1");
}

#[test]
fn files_that_no_package_requires_by_name_are_found_too() {
    let tools = || package("tools-1-1").file("/usr/bin/tool");
    let rich = scenario()
        .with(package("app-1-1").requires("(/usr/bin/tool or never-there)"))
        .with(tools());
    assert_eq!(rich.chooses(), "app-1-1 tools-1-1");
    let extra =
        scenario().with(package("app-1-1")).with(tools()).extra("package = '/usr/bin/tool'");
    assert_eq!(extra.chooses(), "app-1-1 tools-1-1");
}

#[test]
fn of_several_providers_the_one_that_is_in_anyway_is_used() {
    let case = scenario()
        .with(package("app-1-1").requires("editor").requires("second"))
        .with(package("ed-1-1").provides("editor"))
        .with(package("vim-1-1").provides("editor"))
        .with(package("second-1-1").requires("vim"));
    assert_eq!(case.chooses(), "app-1-1 second-1-1 vim-1-1");
}

#[test]
fn of_equal_providers_the_name_decides() {
    let case = scenario()
        .with(package("app-1-1").requires("editor"))
        .with(package("vim-1-1").provides("editor"))
        .with(package("ed-1-1").provides("editor"));
    assert_eq!(case.chooses(), "app-1-1 ed-1-1");
}

#[test]
fn a_provider_that_another_obsoletes_comes_last() {
    let case = scenario()
        .with(package("app-1-1").requires("editor"))
        .with(package("ed-1-1").provides("editor"))
        .with(package("vim-1-1").provides("editor").obsoletes("ed"));
    assert_eq!(case.chooses(), "app-1-1 vim-1-1");
}

#[test]
fn a_provider_of_the_newer_capability_goes_first() {
    let case = scenario()
        .with(package("app-1-1").requires("java"))
        .with(package("java-11-openjdk-11-1").provides("java = 1:11"))
        .with(package("java-21-openjdk-21-1").provides("java = 1:21"));
    assert_eq!(case.chooses(), "app-1-1 java-21-openjdk-21-1");
}

#[test]
fn an_unversioned_capability_satisfies_any_version() {
    let case = scenario()
        .with(package("app-1-1").requires("feature >= 7"))
        .with(package("impl-1-1").provides("feature"));
    assert_eq!(case.chooses(), "app-1-1 impl-1-1");
}

#[test]
fn packages_provide_for_themselves() {
    let case = scenario().with(
        package("app-1-1")
            .provides("config(app) = 1-1")
            .requires("config(app) = 1-1")
            .requires("/usr/bin/app")
            .file("/usr/bin/app"),
    );
    assert_eq!(case.chooses(), "app-1-1");
}

#[test]
fn conflicts_and_obsoletes_keep_packages_apart() {
    let case = scenario()
        .with(package("app-1-1").requires("a").requires("b"))
        .with(package("a-2-1").conflicts("b < 3"))
        .with(package("a-1-1"))
        .with(package("b-2-1"));
    assert_eq!(case.chooses(), "a-1-1 app-1-1 b-2-1");
    let case = scenario()
        .with(package("app-1-1").requires("a").requires("b"))
        .with(package("a-2-1").obsoletes("b <= 2"))
        .with(package("a-1-1"))
        .with(package("b-2-1"));
    assert_eq!(case.chooses(), "a-1-1 app-1-1 b-2-1");
}

#[test]
fn what_conflicts_with_itself_and_what_obsoletes_a_capability_may_be_in() {
    let case = scenario()
        .with(package("app-1-1").requires("a").requires("b"))
        .with(package("a-1-1").provides("mta").conflicts("mta").obsoletes("old"))
        .with(package("b-1-1").provides("old"));
    assert_eq!(case.chooses(), "a-1-1 app-1-1 b-1-1");
}

#[test]
fn i686_twins_are_never_chosen() {
    let case = scenario()
        .with(package("app-1-1").requires("libz.so.1"))
        .with(package("zlib-2-1.i686").provides("libz.so.1"))
        .with(package("zlib-1-1").provides("libz.so.1"));
    assert_eq!(case.chooses(), "app-1-1 zlib-1-1");
}

#[test]
fn what_the_host_gives_is_not_chosen() {
    let case = scenario()
        .with(
            package("app-1-1")
                .requires("rpmlib(PayloadIsZstd) <= 5.4.18-1")
                .requires("/bin/sh")
                .requires("libc.so.6(GLIBC_2.28)(64bit)")
                .requires("libpthread.so.0()(64bit)")
                .requires("rtld(GNU_HASH)")
                .requires("elsewhere-known"),
        )
        .with(package("bash-5-1").file("/bin/sh").requires("never-there"))
        .with(package("glibc-2.28-1").provides("libc.so.6(GLIBC_2.28)(64bit)"))
        .host_package("bash")
        .host_package("elsewhere-known")
        .host_library("libc.so.6*")
        .host_library("libpthread.so.0")
        .host_capability("rtld(*)");
    assert_eq!(case.chooses(), "app-1-1");
}

#[test]
fn a_host_package_gives_only_what_it_provides() {
    let case = scenario()
        .with(package("app-1-1").requires("tool >= 2"))
        .with(package("tool-1-1"))
        .with(package("tool-ng-2-1").provides("tool = 2"))
        .host_package("tool");
    assert_eq!(case.chooses(), "app-1-1 tool-ng-2-1");
}

#[test]
fn a_host_package_that_the_definition_asks_for_is_chosen() {
    let case = scenario()
        .with(package("app-1-1"))
        .with(package("tool-1-1"))
        .extra("package = 'tool'")
        .host_package("tool");
    assert_eq!(case.chooses(), "app-1-1 tool-1-1");
}

#[test]
fn the_preferred_repository_hides_newer_packages_of_others() {
    let case = scenario()
        .with(package("app-1-1").requires("lib").requires("rare"))
        .with(package("lib-9-1"))
        .with(package("rare-1-1"))
        .repository("special", 10)
        .with(package("lib-1-1"));
    assert_eq!(case.chooses(), "app-1-1 lib-1-1 rare-1-1");
    let sources = case.plan().unwrap().sources;
    assert_eq!(
        sources.iter().map(|source| source.id.as_str()).collect::<Vec<_>>(),
        ["base", "special"]
    );
}

#[test]
fn the_same_package_is_taken_from_the_first_repository() {
    let case = scenario()
        .repository("second", 99)
        .with(package("app-1-1"))
        .repository("third", 99)
        .with(package("app-1-1"));
    let plan = case.plan().unwrap();
    assert_eq!(plan.packages[0].source, "second");
    assert_eq!(plan.sources.len(), 1);
}

#[test]
fn a_repository_may_be_there_for_some_packages_only() {
    let case = scenario()
        .with(package("app-1-1").requires("lib"))
        .with(package("lib-1-1"))
        .repository("archive", 99)
        .only("app")
        .with(package("app-2-1").requires("lib"))
        .with(package("lib-2-1"));
    assert_eq!(case.chooses(), "app-2-1 lib-1-1");
}

#[test]
fn a_version_is_exact_or_a_prefix_of_components() {
    let case = scenario()
        .with(package("app-1.4-1"))
        .with(package("app-1.4.5-1"))
        .with(package("app-1.4.5-2"))
        .with(package("app-1.4.10-1"))
        .with(package("app-1.40-1"));
    assert_eq!(case.clone().version("1.4.5").chooses(), "app-1.4.5-2");
    assert_eq!(case.clone().version("1.4.5-1").chooses(), "app-1.4.5-1");
    assert_eq!(case.clone().version("1.4").chooses(), "app-1.4.10-1");
    assert_eq!(case.clone().version("1").chooses(), "app-1.40-1");
    assert_eq!(case.plan().unwrap().runtimes[0].version, "1.40");
}

#[test]
fn extras_are_wanted_where_they_apply() {
    let case = scenario()
        .with(package("app-1.2-1"))
        .with(package("app-1.3-1"))
        .with(package("squashfuse-1-1").provides("mounter").requires("fuse"))
        .with(package("fuse-1-1"))
        .with(package("elseonly-1-1"))
        .extra("package = 'mounter'\nwhen = '< 1.3'")
        .extra("package = 'elseonly'\ndists = ['el9']")
        .extra("package = 'nowhere'\noptional = true");
    assert_eq!(case.chooses(), "app-1.3-1");
    assert_eq!(case.version("1.2").chooses(), "app-1.2-1 fuse-1-1 squashfuse-1-1");
}

/// As a client whose package wants a mounter, a debugger and a policy, and whose program needs two libraries.
#[test]
fn of_some_packages_only_libraries_are_followed() {
    let case = || {
        let app = package("app-1-1").requires("autofs").requires("/usr/bin/gdb");
        let app = app.requires("app-libs = 1-1").requires("(policy if selinux)");
        scenario()
            .with(app.requires("libx.so.1()(64bit)").requires("libx.so.1(X_2)(64bit)"))
            .with(package("autofs-1-1").requires("systemd"))
            .with(package("app-libs-1-1"))
            .with(
                package("x-1-1")
                    .provides("libx.so.1()(64bit)")
                    .provides("libx.so.1(X_2)(64bit)")
                    .requires("x-data"),
            )
            .with(package("x-data-1-1"))
    };
    assert!(case().fails().contains("gdb") || case().fails().contains("systemd"));
    let only = || case().libraries_only("app");
    // Of what they bring, everything is followed as ever.
    assert_eq!(only().chooses(), "app-1-1 x-1-1 x-data-1-1");
    assert_eq!(only().libraries_only("x").chooses(), "app-1-1 x-1-1");
    // What else is wanted of it the definition names.
    assert_eq!(
        only().extra("package = 'app-libs'").chooses(),
        "app-1-1 app-libs-1-1 x-1-1 x-data-1-1"
    );
    // A library that is nowhere is missed.
    let none = scenario().with(package("app-1-1").requires("liby.so.1()(64bit)"));
    assert!(none.libraries_only("app").fails().contains("liby.so.1"));
}

#[test]
fn an_extra_in_other_versions_only_is_done_without() {
    let case = |version: &str| {
        scenario()
            .with(package("app-1-1"))
            .with(package(&format!("e2fsprogs-{version}-1")))
            .extra("package = 'e2fsprogs'\nversion = '>= 1.43'")
    };
    assert_eq!(case("1.42.9").chooses(), "app-1-1");
    assert_eq!(case("1.45.6").chooses(), "app-1-1 e2fsprogs-1.45.6-1");
    // The newest that is within the bound, where there are several.
    let both = case("1.45.6").with(package("e2fsprogs-1.42.9-1"));
    assert_eq!(both.chooses(), "app-1-1 e2fsprogs-1.45.6-1");
    let below = scenario().with(package("app-1-1")).with(package("tool-2-1"));
    let below = below.with(package("tool-1-1")).extra("package = 'tool'\nversion = '< 2'");
    assert_eq!(below.chooses(), "app-1-1 tool-1-1");
    // A dist that lacks it altogether is another matter.
    let none = scenario().with(package("app-1-1"));
    let none = none.extra("package = 'e2fsprogs'\nversion = '>= 1.43'");
    assert!(none.fails().contains("needs e2fsprogs beside it"), "{}", none.fails());
}

/// What the dists offered when apptainer's file still had lists of them, and what it took by those.
#[test]
fn apptainer_takes_from_each_dist_what_its_lists_of_dists_named() {
    let catalog = elsewhere::stages::catalog::Catalog::load(&[]).unwrap();
    let apptainer = catalog.runtime("apptainer").unwrap();
    let take = |version: &str, offered: &[&str]| {
        let mut case = scenario();
        case.runtimes = vec![(apptainer.clone(), None, false)];
        let everywhere = ["fakeroot-1-1", "util-linux-2-1", "libgcc-8-1", "squashfs-tools-4-1"];
        let helpers = ["squashfuse-1-1", "fuse-overlayfs-1-1"];
        let own = format!("apptainer-{version}-1");
        let all = everywhere.iter().chain(&helpers).chain(offered).copied();
        let case = all.chain([own.as_str()]).fold(case, |case, nevr| case.with(package(nevr)));
        let chosen = case.chooses();
        let common = |name: &&str| name.starts_with("fuse2fs") || offered.contains(name);
        chosen.split(' ').filter(common).collect::<Vec<_>>().join(" ")
    };
    let el7 = ["fuse2fs-1.42.9-1", "e2fsprogs-1.42.9-1"];
    assert_eq!(take("1.2.5", &el7), "fuse2fs-1.42.9-1");
    assert_eq!(take("1.3.1", &el7), "");
    for e2fsprogs in ["1.45.6", "1.46.5", "1.47.1", "1.47.3"] {
        let newer = ["shadow-utils-subid-4-1", &format!("e2fsprogs-{e2fsprogs}-1")];
        let both = format!("{} {}", newer[1], newer[0]);
        assert_eq!(take("1.2.5", &newer), both);
        assert_eq!(take("1.5.3", &newer), both);
    }
}

#[test]
fn single_files_of_a_package_come_without_its_requires() {
    let case = scenario()
        .with(package("app-1-1"))
        .with(package("util-linux-2-1").requires("much"))
        .with(package("util-linux-1-1").requires("more"))
        .extra("package = 'util-linux'\nfiles = ['usr/bin/getopt']")
        .extra("package = 'util-linux'\nfiles = ['usr/bin/col']");
    let plan = case.plan().unwrap();
    assert_eq!(case.chooses(), "app-1-1 util-linux-2-1");
    let files: Vec<_> = plan.packages[1].files.iter().map(ToString::to_string).collect();
    assert_eq!(files, ["usr/bin/col", "usr/bin/getopt"]);
    assert_eq!(plan.packages[1].reason.by, "runtime app");
    assert_eq!(plan.packages[1].reason.needs, "util-linux");
}

#[test]
fn a_package_that_is_in_as_a_whole_stays_whole() {
    let case = scenario()
        .with(package("app-1-1").requires("util-linux < 2"))
        .with(package("util-linux-2-1"))
        .with(package("util-linux-1-1"))
        .extra("package = 'util-linux'\nfiles = ['usr/bin/getopt']");
    assert_eq!(case.chooses(), "app-1-1 util-linux-1-1");
    assert!(case.plan().unwrap().packages[1].files.is_empty());
}

#[test]
fn several_runtimes_share_their_dependencies() {
    let case = scenario()
        .runtime("other")
        .with(package("app-1-1").requires("lib"))
        .with(package("other-1-1").requires("lib < 2"))
        .with(package("lib-2-1"))
        .with(package("lib-1-1"));
    assert_eq!(case.chooses(), "app-1-1 lib-1-1 other-1-1");
    let runtimes = case.plan().unwrap().runtimes;
    assert_eq!(runtimes.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["app", "other"]);
}

#[test]
fn a_local_package_replaces_the_repositories_own() {
    let case = scenario()
        .with(package("app-2-1"))
        .with(package("lib-1-1"))
        .repository("local", 99)
        .with(package("app-1-1.module_x").requires("lib"))
        .local();
    assert_eq!(case.chooses(), "app-1-1.module_x lib-1-1");
    let plan = case.plan().unwrap();
    assert_eq!(plan.packages[0].source, "local");
    let mut unwanted = case;
    unwanted.runtimes[0].2 = false;
    assert_eq!(unwanted.chooses(), "app-2-1");
}

#[test]
fn reasons_follow_the_shortest_way() {
    let case = scenario()
        .with(package("app-1-1").requires("b").requires("a").requires("c"))
        .with(package("a-1-1").requires("deep"))
        .with(package("b-1-1").requires("lib >= 1").requires("lib"))
        .with(package("c-1-1").requires("lib"))
        .with(package("deep-1-1").requires("c"))
        .with(package("lib-1-1"));
    let plan = case.plan().unwrap();
    let reasons: Vec<_> = plan
        .packages
        .iter()
        .map(|p| format!("{}: {} needs {}", p.nevra.name, p.reason.by, p.reason.needs))
        .collect();
    assert_eq!(
        reasons,
        [
            "a: app needs a",
            "app: runtime app needs app",
            "b: app needs b",
            "c: app needs c",
            "deep: a needs deep",
            "lib: b needs lib",
        ]
    );
}

#[test]
fn the_plan_does_not_depend_on_the_order_of_packages() {
    let mut case = scenario()
        .with(package("app-1-1").requires("x").requires("y").requires("(p if q)"))
        .with(package("a-1-1").provides("x").requires("q"))
        .with(package("b-1-1").provides("x").provides("y"))
        .with(package("c-1-1").provides("y"))
        .with(package("p-1-1"))
        .with(package("q-1-1"));
    let plan = case.plan().unwrap();
    case.repositories[0].packages.reverse();
    assert_eq!(case.plan().unwrap(), plan);
}

mod wishes {
    use super::*;

    /// Of `a` and `z`, which both provide what `app` requires, `a` is chosen where nothing else is said.
    fn case() -> scenario::Scenario {
        scenario().with(package("lib-1-1"))
    }

    fn chosen(app: scenario::Offer, a: scenario::Offer, z: scenario::Offer) -> String {
        let case = case().with(app.requires("lib").requires("x"));
        let case = case.with(a.provides("x")).with(z.provides("x"));
        case.chooses().replace("app-1-1", "").replace("lib-1-1", "").trim().to_owned()
    }

    fn offers() -> [scenario::Offer; 3] {
        ["app-1-1", "a-1-1", "z-1-1"].map(package)
    }

    #[test]
    fn of_two_providers_the_one_that_is_wished_for_is_taken() {
        let [app, a, z] = offers();
        assert_eq!(chosen(app, a, z), "a-1-1");
        for kind in ["recommends", "suggests"] {
            let [app, a, z] = offers();
            assert_eq!(chosen(app.wishes(kind, "z"), a, z), "z-1-1", "{kind}");
        }
        for kind in ["supplements", "enhances"] {
            let [app, a, z] = offers();
            assert_eq!(chosen(app, a, z.wishes(kind, "lib")), "z-1-1", "{kind}");
        }
        // Nothing is chosen because of a wish.
        let [app, a, z] = offers();
        let case =
            case().with(app.wishes("recommends", "a")).with(a.wishes("suggests", "z")).with(z);
        assert_eq!(case.chooses(), "app-1-1");
    }

    #[test]
    fn what_is_recommended_goes_before_what_is_suggested() {
        let [app, a, z] = offers();
        assert_eq!(chosen(app.wishes("suggests", "a").wishes("recommends", "z"), a, z), "z-1-1");
        let [app, a, z] = offers();
        let app = app.wishes("recommends", "x").wishes("suggests", "z");
        assert_eq!(chosen(app, a, z), "z-1-1", "both are recommended");
    }

    #[test]
    fn wishes_have_versions_and_conditions() {
        for (wish, expected) in [
            ("z >= 2", "a-1-1"),
            ("z = 1", "z-1-1"),
            ("(z if lib)", "z-1-1"),
            ("(z if none)", "a-1-1"),
            ("(z if none else a)", "a-1-1"),
            ("(none or z)", "z-1-1"),
            ("(z with x)", "z-1-1"),
        ] {
            let [app, a, z] = offers();
            assert_eq!(chosen(app.wishes("recommends", wish), a, z), expected, "{wish}");
        }
        for (wish, expected) in [
            ("(lib and app)", "z-1-1"),
            ("(lib and none)", "a-1-1"),
            ("(lib if none)", "z-1-1"),
            ("(none unless lib)", "a-1-1"),
            ("(lib without app)", "z-1-1"),
        ] {
            let [app, a, z] = offers();
            assert_eq!(chosen(app, a, z.wishes("supplements", wish)), expected, "{wish}");
        }
    }

    #[test]
    fn what_the_host_gives_is_there_for_wishes() {
        let [app, a, z] = offers();
        let z = z.provides("x").wishes("supplements", "given");
        let case = case().host_capability("given").with(app.requires("x"));
        assert_eq!(case.with(a.provides("x")).with(z).chooses(), "app-1-1 z-1-1");
    }
}

mod asked_by_name {
    use super::*;

    #[test]
    fn a_package_that_took_another_ones_place_is_taken() {
        let case = scenario()
            .with(package("app-1.0-1"))
            .with(package("app-ng-5-1").obsoletes("app < 2").requires("lib"))
            .with(package("lib-1-1"));
        assert_eq!(case.chooses(), "app-ng-5-1 lib-1-1");
        assert_eq!(case.plan().unwrap().runtimes[0].version, "5");
        // Unless a newer one is there, or the old one is asked for by its version.
        assert_eq!(case.clone().with(package("app-2-1")).chooses(), "app-2-1");
        assert_eq!(case.clone().version("1.0").chooses(), "app-1.0-1");
        // What is installed of it stays what it is.
        assert_eq!(case.version("5").chooses(), "app-ng-5-1 lib-1-1");
    }

    #[test]
    fn of_several_that_took_its_place_one_that_can_be_had_is_taken() {
        let case = scenario()
            .with(package("app-1-1"))
            .with(package("a-2-1").obsoletes("app").requires("missing"))
            .with(package("b-3-1").obsoletes("app"));
        assert_eq!(case.chooses(), "b-3-1");
        assert_eq!(case.plan().unwrap().runtimes[0].version, "3");
    }

    #[test]
    fn an_extra_is_replaced_too() {
        let case = scenario()
            .with(package("app-1-1"))
            .with(package("tool-1-1"))
            .with(package("tool-ng-1-1").obsoletes("tool"))
            .extra("package = 'tool'");
        assert_eq!(case.chooses(), "app-1-1 tool-ng-1-1");
    }

    #[test]
    fn the_repository_that_costs_less_is_preferred_for_what_is_the_same() {
        let case = |cost: u32| {
            scenario()
                .with(package("app-1-1").requires("lib"))
                .with(package("lib-1-1"))
                .repository("cheap", 99)
                .costs(cost)
                .with(package("lib-1-1"))
        };
        let source = |cost| case(cost).plan().unwrap().packages[1].source.clone();
        assert_eq!(source(999), "cheap");
        assert_eq!(source(1000), "base");
        assert_eq!(source(2000), "base");
        // A newer one counts more than any cost.
        assert_eq!(
            case(1).repository("dear", 99).costs(9).with(package("lib-2-1")).chooses(),
            "app-1-1 lib-2-1"
        );
    }
}

mod rich_dependencies {
    use super::*;

    fn app(requires: &str) -> scenario::Scenario {
        let offers = ["a-1-1", "b-1-1", "c-1-1", "d-2-1"].map(package);
        offers
            .into_iter()
            .fold(scenario().with(package("app-1-1").requires(requires)), scenario::Scenario::with)
    }

    #[test]
    fn and_or() {
        assert_eq!(app("(a and b and c)").chooses(), "a-1-1 app-1-1 b-1-1 c-1-1");
        assert_eq!(app("(nothing or b)").chooses(), "app-1-1 b-1-1");
        assert_eq!(app("((nothing and a) or (b and c))").chooses(), "app-1-1 b-1-1 c-1-1");
        assert_eq!(app("(d < 2 or c)").chooses(), "app-1-1 c-1-1");
    }

    #[test]
    fn if_else() {
        assert_eq!(app("(a if b)").chooses(), "app-1-1");
        assert_eq!(app("(a if nothing else c)").chooses(), "app-1-1 c-1-1");
        let case = app("(a if d >= 2 else c)");
        assert_eq!(case.clone().extra("package = 'd'").chooses(), "a-1-1 app-1-1 d-2-1");
        assert_eq!(app("(a if d > 2)").extra("package = 'd'").chooses(), "app-1-1 d-2-1");
        assert_eq!(app("(a if bash)").host_package("bash").chooses(), "a-1-1 app-1-1");
    }

    #[test]
    fn a_condition_that_comes_to_hold_late_is_noticed() {
        let case = scenario()
            .with(package("app-1-1").requires("(a if z)").requires("x"))
            .with(package("x-1-1").requires("y"))
            .with(package("y-1-1").requires("(z if x)"))
            .with(package("z-1-1"))
            .with(package("a-1-1"));
        assert_eq!(case.chooses(), "a-1-1 app-1-1 x-1-1 y-1-1 z-1-1");
    }

    #[test]
    fn a_condition_whose_consequence_is_impossible_is_avoided() {
        let case = scenario()
            .with(package("app-1-1").requires("(nothing if x1)").requires("x"))
            .with(package("x1-1-1").provides("x"))
            .with(package("x2-1-1").provides("x"));
        assert_eq!(case.chooses(), "app-1-1 x2-1-1");
    }

    #[test]
    fn unless_else() {
        assert_eq!(app("(a unless nothing)").chooses(), "a-1-1 app-1-1");
        let case = app("(a unless d else c)").extra("package = 'd'");
        assert_eq!(case.chooses(), "app-1-1 c-1-1 d-2-1");
    }

    #[test]
    fn with_and_without_mean_one_package() {
        let case = |requires: &str| {
            scenario()
                .with(package("app-1-1").requires(requires))
                .with(package("low-1-1").provides("x = 1").provides("plain"))
                .with(package("middle-1-1").provides("x = 2").provides("plain"))
                .with(package("top-1-1").provides("x = 3"))
        };
        assert_eq!(case("(x > 1 with x < 3)").chooses(), "app-1-1 middle-1-1");
        assert_eq!(case("(x without plain)").chooses(), "app-1-1 top-1-1");
        assert_eq!(case("(x with (plain or top) with x > 2)").chooses(), "app-1-1 top-1-1");
    }

    #[test]
    fn in_conflicts() {
        let case = |conflicts: &str| {
            scenario()
                .with(package("app-1-1").requires("a").requires("b").requires("x"))
                .with(package("x-2-1").conflicts(conflicts))
                .with(package("x-1-1"))
                .with(package("a-1-1"))
                .with(package("b-1-1"))
        };
        assert_eq!(case("(a and b)").chooses(), "a-1-1 app-1-1 b-1-1 x-1-1");
        assert_eq!(case("(a and c)").chooses(), "a-1-1 app-1-1 b-1-1 x-2-1");
        assert_eq!(case("(a unless b)").chooses(), "a-1-1 app-1-1 b-1-1 x-2-1");
        assert_eq!(case("(a unless c)").chooses(), "a-1-1 app-1-1 b-1-1 x-1-1");
    }

    #[test]
    fn one_that_cannot_be_read_cannot_be_fulfilled() {
        assert_eq!(
            app("(a and b or c)").fails(),
            "app-1-1.x86_64 needs (a and b or c): no package of base provides it"
        );
    }
}

mod modules {
    use super::*;

    fn case() -> scenario::Scenario {
        scenario()
            .with(package("app-1-1").requires("runc"))
            .with(package("runc-1.0-1.module_a"))
            .with(package("runc-1.2-1.module_b"))
            .with(package("runc-9-1.module_lost"))
            .with(package("runc-3-1"))
            .with(package("impostor-2-1").provides("runc = 2"))
            .stream("container-tools", "rhel8", true, "runc-0:1.0-1.module_a.x86_64")
            .stream("container-tools", "4.0", false, "runc-0:1.2-1.module_b.x86_64")
    }

    #[test]
    fn the_default_stream_is_used_and_hides_all_else() {
        assert_eq!(case().chooses(), "app-1-1 runc-1.0-1.module_a");
    }

    #[test]
    fn the_definition_may_name_another_stream() {
        let case = case().uses_stream("container-tools", "4.0");
        assert_eq!(case.chooses(), "app-1-1 runc-1.2-1.module_b");
    }

    #[test]
    fn without_a_default_stream_plain_packages_are_used() {
        let mut case = case();
        case.modules[0].default = false;
        assert_eq!(case.chooses(), "app-1-1 runc-3-1");
    }

    #[test]
    fn source_packages_of_a_stream_hide_nothing() {
        let case = scenario()
            .with(package("app-1-1").requires("runc"))
            .with(package("runc-1-1"))
            .stream("m", "s", true, "runc-0:1-1.module_a.src");
        assert_eq!(case.chooses(), "app-1-1 runc-1-1");
    }

    #[test]
    fn what_a_stream_hides_is_named_where_it_is_missed() {
        let case = scenario()
            .with(package("app-1-1").requires("runc"))
            .with(package("runc-1-1.module_a"))
            .stream("m", "s", false, "runc-0:1-1.module_a.x86_64");
        assert_eq!(
            case.fails(),
            "app-1-1.x86_64 needs runc: no package of base provides it \
             (hidden: runc-1-1.module_a.x86_64, which belongs to stream s of module m, not active \
             here)"
        );
        let hint = case.plan().unwrap_err().hint().unwrap();
        assert!(hint.contains("`streams = { m = \"s\" }`"), "{hint}");
    }

    #[test]
    fn modular_packages_without_a_list_are_hidden_and_named() {
        let case = scenario()
            .with(package("app-1-1.module_a").requires("lib"))
            .with(package("lib-1-1"))
            .extra("package = 'app'");
        assert_eq!(
            case.fails(),
            "el8 for x86_64 does not offer app: base hold no package app (hidden: \
             app-1-1.module_a.x86_64, which is modular, and which no module list names)"
        );
        let hint = case.plan().unwrap_err().hint().unwrap();
        assert!(hint.contains("`module_hotfixes = true`"), "{hint}");
        assert_eq!(case.clone().hotfixes().chooses(), "app-1-1.module_a lib-1-1");
        // A version of it may be there all the same, and an extra may not.
        let older = case.clone().with(package("app-0.9-1"));
        assert_eq!(older.chooses(), "app-0.9-1");
        let asked = older.version("1").fails();
        assert!(
            asked.starts_with("el8 for x86_64 holds no app 1 (hidden: app-1-1.module_a"),
            "{asked}"
        );
        let extra = scenario().with(package("app-1-1")).with(package("x-1-1.module_a"));
        let missed = extra.extra("package = 'x'").fails();
        assert!(missed.contains("(el8 for x86_64) (hidden: x-1-1.module_a.x86_64"), "{missed}");
    }

    #[test]
    fn a_list_that_could_be_read_in_part_is_blamed() {
        let case = scenario().with(package("app-1-1.module_a"));
        let mut index = case.index();
        index.modules.set_aside.push("base: modules.yaml: line 7 is not YAML".to_owned());
        let error = case.plan_of(&index).unwrap_err().to_string();
        assert!(
            error.ends_with("as the lists could be read: base: modules.yaml: line 7 is not YAML)"),
            "{error}"
        );
    }

    #[test]
    fn of_a_streams_versions_the_newest_packages_count() {
        let case = scenario()
            .with(package("app-1-1").requires("runc"))
            .with(package("runc-2-1.module_a"))
            .with(package("runc-1-1.module_b"))
            .stream("m", "s", true, "runc-0:2-1.module_a.x86_64")
            .stream("m", "s", true, "runc-0:1-1.module_b.x86_64")
            .needing(2, "platform", "el8");
        assert_eq!(case.chooses(), "app-1-1 runc-2-1.module_a");
    }

    #[test]
    fn a_stream_brings_those_that_it_needs() {
        let case = scenario()
            .with(package("app-1-1").requires("dbi").requires("perl"))
            .with(package("perl-5.26-1.module_a"))
            .with(package("perl-5.30-1.module_b"))
            .with(package("dbi-1-1.module_a"))
            .with(package("dbi-1-1.module_b"))
            .stream("perl", "5.26", false, "perl-0:5.26-1.module_a.x86_64")
            .stream("perl", "5.30", false, "perl-0:5.30-1.module_b.x86_64")
            .stream("dbi", "1", true, "dbi-0:1-1.module_a.x86_64")
            .needing(1, "perl", "5.26")
            .stream("dbi", "1", true, "dbi-0:1-1.module_b.x86_64")
            .needing(2, "perl", "5.30");
        // The first by what it needs, as for dnf, and with it the perl that it was built with.
        assert_eq!(case.chooses(), "app-1-1 dbi-1-1.module_a perl-5.26-1.module_a");
        // Unless another one is wanted.
        let wanted = case.clone().uses_stream("perl", "5.30");
        assert_eq!(wanted.chooses(), "app-1-1 dbi-1-1.module_b perl-5.30-1.module_b");
        // Or is the default.
        let default = case.stream("perl", "5.30", true, "");
        assert_eq!(default.chooses(), "app-1-1 dbi-1-1.module_b perl-5.30-1.module_b");
    }

    #[test]
    fn a_default_stream_whose_needs_are_not_there_is_not_active() {
        let case = scenario()
            .with(package("app-1-1").requires("dbi"))
            .with(package("dbi-9-1"))
            .with(package("dbi-1-1.module_a"))
            .stream("dbi", "1", true, "dbi-0:1-1.module_a.x86_64")
            .needing(1, "perl", "5.26");
        assert_eq!(case.chooses(), "app-1-1 dbi-9-1");
        // One that is asked for is.
        assert_eq!(case.uses_stream("dbi", "1").chooses(), "app-1-1 dbi-1-1.module_a");
    }

    #[test]
    fn streams_that_need_each_other_end_somewhere() {
        let mut case = scenario().with(package("app-1-1"));
        for number in 0..200 {
            let (module, next) = (format!("m{number}"), format!("m{}", (number + 1) % 200));
            for version in 0..20 {
                case = case.stream(&module, "s", true, "").needing(version, &next, "s");
                case = case.stream(&module, "t", false, "").needing(version, &next, "none");
            }
        }
        assert_eq!(case.chooses(), "app-1-1");
    }

    #[test]
    fn two_streams_of_a_module_cannot_be_had_at_once() {
        let case = case()
            .uses_stream("container-tools", "4.0")
            .runtime("other")
            .uses_stream("container-tools", "rhel8");
        assert_eq!(
            case.fails(),
            "runtime app uses stream 4.0 of module container-tools and runtime other stream \
             rhel8: they cannot share a tree"
        );
    }
}

mod errors {
    use super::*;

    #[test]
    fn a_runtime_that_is_not_offered() {
        let case = scenario().repository("epel", 99).with(package("app-1-1.aarch64"));
        assert_eq!(
            case.fails(),
            "el8 for x86_64 does not offer app: base, epel hold no package app"
        );
        assert!(case.plan().unwrap_err().hint().unwrap().contains("elsewhere list"));
    }

    #[test]
    fn a_version_that_is_not_held() {
        let case = scenario()
            .with(package("app-1.9-1"))
            .with(package("app-1.10-1"))
            .with(package("app-1.10-2"))
            .version("1.1");
        assert_eq!(case.fails(), "el8 for x86_64 holds no app 1.1: it holds 1.10, 1.9");
        let hint = case.plan().unwrap_err().hint().unwrap();
        assert_eq!(hint, "install the newest with `-v 1.10`, or without `-v`");
    }

    #[test]
    fn an_extra_that_is_missing() {
        let case = scenario().with(package("app-1-1")).extra("package = 'fakeroot'");
        assert_eq!(
            case.fails(),
            "runtime app needs fakeroot beside it, which no package of base provides \
             (el8 for x86_64)"
        );
    }

    #[test]
    fn a_chain_that_ends_in_nothing() {
        let case = scenario()
            .with(package("app-1.4.5-1.el8").requires("fakeroot"))
            .with(package("fakeroot-1.31-1").requires("libfoo.so.1()(64bit)"))
            .repository("epel", 99);
        assert_eq!(
            case.fails(),
            "app-1.4.5-1.el8.x86_64 needs fakeroot; fakeroot-1.31-1.x86_64 needs \
             libfoo.so.1()(64bit): no package of base, epel provides it"
        );
    }

    #[test]
    fn a_version_of_a_dependency_that_is_not_there() {
        let case = scenario()
            .with(package("app-1-1").requires("libfuse3.so.3(FUSE_3.12) >= 2"))
            .with(package("fuse3-libs-3.3-1").provides("libfuse3.so.3(FUSE_3.12) = 1"));
        assert_eq!(
            case.fails(),
            "app-1-1.x86_64 needs libfuse3.so.3(FUSE_3.12) >= 2: no package of base provides it \
             (there is fuse3-libs-3.3-1.x86_64)"
        );
    }

    #[test]
    fn packages_that_conflict() {
        let case = scenario()
            .with(package("app-1-1").requires("a").requires("b"))
            .with(package("a-1-1").requires("c"))
            .with(package("b-1-1"))
            .with(package("c-1-1").conflicts("b < 2"));
        assert_eq!(
            case.fails(),
            "c-1-1.x86_64 and b-1-1.x86_64 exclude each other (c-1-1.x86_64 conflicts with \
             b < 2): app-1-1.x86_64 needs a; a-1-1.x86_64 needs c; and app-1-1.x86_64 needs b"
        );
    }

    #[test]
    fn a_package_that_obsoletes_another() {
        let case = scenario()
            .with(package("app-1-1").requires("new").requires("old"))
            .with(package("new-1-1").obsoletes("old < 2"))
            .with(package("old-1-1"));
        assert_eq!(
            case.fails(),
            "old-1-1.x86_64 and new-1-1.x86_64 exclude each other (new-1-1.x86_64 obsoletes \
             old < 2): app-1-1.x86_64 needs old; and app-1-1.x86_64 needs new"
        );
    }

    #[test]
    fn two_versions_of_one_package() {
        let case = scenario()
            .with(package("app-1-1").requires("a").requires("lib < 2"))
            .with(package("a-1-1").requires("lib >= 2"))
            .with(package("lib-1-1"))
            .with(package("lib-2-1"));
        assert_eq!(
            case.fails(),
            "lib-2-1.x86_64 and lib-1-1.x86_64 exclude each other (a tree holds one version of \
             lib): app-1-1.x86_64 needs a; a-1-1.x86_64 needs lib >= 2; and app-1-1.x86_64 \
             needs lib < 2"
        );
    }

    #[test]
    fn a_rich_conflict() {
        let case = scenario()
            .with(package("app-1-1").requires("a").requires("b").conflicts("(a and b)"))
            .with(package("a-1-1"))
            .with(package("b-1-1"));
        assert_eq!(
            case.fails(),
            "app-1-1.x86_64 and b-1-1.x86_64 exclude each other (app-1-1.x86_64 conflicts with \
             (a and b)): runtime app needs app; and app-1-1.x86_64 needs b"
        );
    }

    #[test]
    fn every_choice_is_impossible() {
        let case = scenario()
            .with(package("app-1-1").requires("x").requires("z"))
            .with(package("x1-1-1").provides("x").conflicts("z"))
            .with(package("x2-1-1").provides("x").conflicts("z"))
            .with(package("z-1-1"));
        assert_eq!(
            case.fails(),
            "x1-1-1.x86_64 and z-1-1.x86_64 exclude each other (x1-1-1.x86_64 conflicts with z): \
             app-1-1.x86_64 needs x; and app-1-1.x86_64 needs z"
        );
    }

    #[test]
    fn hostile_names_are_shown_escaped() {
        let case = scenario().with(package("app-1-1").requires("\u{1b}[31m"));
        assert_eq!(
            case.fails(),
            "app-1-1.x86_64 needs \\u{1b}[31m: no package of base provides it"
        );
    }
}
