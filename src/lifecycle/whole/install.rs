//! Installing and updating: what goes into which member, planned and carried out.

use std::collections::BTreeSet;

use super::{Member, Whole, replanned};
use crate::context::Context;
use crate::error::Error;
use crate::launcher;
use crate::lifecycle::age;
use crate::lifecycle::changes::{TreeChange, changes};
use crate::lifecycle::install::{InstallOptions, Installed, install};
use crate::lifecycle::present::present;
use crate::metadata::{Keys, Memory};
use crate::model::{Arch, Dist, Plan, Request, Sightings, TreePlan};
use crate::planning::{self, Present, for_dist};

/// What is asked of an install.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// What is wanted.
    pub request: &'a Request,
    /// The dists that are named; none to stay with those that are there, or to choose one.
    pub dists: &'a [&'a Dist],
    /// The plan to carry out, where one is given.
    pub lock: Option<&'a Plan>,
}

/// What is planned for one member.
struct Step<'a> {
    /// With the machines that it is for.
    context: Context<'a>,
    member: Member,
    plan: Plan,
    /// What the plan was made for.
    present: Present,
}

/// What is planned for each member that something is to be done to.
pub(crate) struct Steps<'a>(Vec<Step<'a>>);

impl Steps<'_> {
    /// All of it, as one plan.
    #[must_use]
    pub(crate) fn plan(&self) -> Plan {
        let trees = self.0.iter().flat_map(|step| &step.plan.trees).cloned();
        Plan::of(trees.collect())
    }

    /// The dists of what is live and of what is planned.
    #[must_use]
    pub(crate) fn dists(&self) -> BTreeSet<String> {
        let live = self.0.iter().flat_map(|step| step.present.trees.values());
        let planned = self.0.iter().flat_map(|step| &step.plan.trees).flat_map(TreePlan::parts);
        live.map(|it| it.dist.clone()).chain(planned.map(|part| part.dist.clone())).collect()
    }

    /// What would change.
    ///
    /// # Errors
    /// When the prefix cannot be read.
    pub(crate) fn changes(&self) -> Result<Vec<TreeChange>, Error> {
        let mut all = Vec::new();
        for step in &self.0 {
            all.extend(changes(step.context, &step.member, &step.plan)?);
        }
        Ok(all)
    }
}

impl Whole {
    /// What is to be installed where: in an ordinary prefix everything in itself. In one of several
    /// dists, or that is to be one, each dist in a member of its own: the prefix itself where that has
    /// the dist already. Writes nothing.
    ///
    /// # Errors
    /// When something cannot be planned, or is not what is pinned.
    pub(crate) fn plan<'a>(
        &self,
        context: Context<'a>,
        keys: &Keys<'_>,
        asked: Asked<'_>,
    ) -> Result<Steps<'a>, Error> {
        let Asked { request, lock, .. } = asked;
        let known = self.sightings()?;
        self.inform(keys)?;
        lock.iter().for_each(|plan| keys.know_copies(&plan.certificates));
        let lock = lock.map(|plan| planning::held(context, keys, plan)).transpose()?;
        let lock = lock.as_ref();
        let pins = self.pins()?;
        lock.iter().try_for_each(|plan| planning::check_pins(plan, &pins))?;
        let named = named(context, asked)?;
        let is_mixed = lock.is_none_or(|plan| has_twins(&plan.trees));
        if self.prefix.members()?.is_empty() && !(named.len() > 1 && is_mixed) {
            let mut present = present(&self.prefix, context.reporter)?;
            let plan = match lock {
                Some(plan) => locked(context, plan.clone(), &known, &mut present)?,
                None => planned(context, keys, request, &known, &mut present)?,
            };
            planning::check_target(context, &plan)?;
            let member = Member(self.prefix.clone());
            return Ok(Steps(vec![Step { context, member, plan, present }]));
        }
        let mut steps = Vec::new();
        for (member, dist) in self.places(context, &named)? {
            let context = match dist {
                Some(dist) => for_dist(context, dist),
                None => member.context(context)?,
            };
            let name = dist.map(|dist| dist.name.clone());
            let mut present = Present { pins: pins.clone(), ..present(&member, context.reporter)? };
            let plan = match lock {
                Some(plan) => {
                    let trees = plan.trees.iter().filter(|tree| Some(&tree.dist) == name.as_ref());
                    let plan = Plan::of(trees.cloned().collect());
                    locked(context, plan, &known, &mut present)?
                }
                None => {
                    let request = Request { dist: name, ..request.clone() };
                    planned(context, keys, &request, &known, &mut present)?
                }
            };
            planning::check_target(context, &plan)?;
            steps.push(Step { context, member, plan, present });
        }
        Ok(Steps(steps))
    }

    /// Where each of the `named` dists is, or goes; every member where none is named.
    fn places<'a>(
        &self,
        context: Context<'a>,
        named: &[&'a Dist],
    ) -> Result<Vec<(Member, Option<&'a Dist>)>, Error> {
        let mut places = Vec::new();
        if named.is_empty() {
            for member in self.all()? {
                // One of which nothing is known keeps the dist that it is called by.
                let name = member.path().file_name().and_then(|name| name.to_str());
                let is_unknown = member.whole().is_some() && member.dists()?.is_empty();
                let dist = name.filter(|_| is_unknown).map(|name| context.catalog.dist(name));
                let dist = dist.transpose()?;
                places.push((member, dist));
            }
            return Ok(places);
        }
        let own = Member(self.prefix.clone());
        let dists = own.dists()?;
        for &dist in named {
            let member = match dists.contains(&dist.name) {
                true => own.clone(),
                false => Member(self.prefix.member(&dist.name)?),
            };
            places.push((member, Some(dist)));
        }
        Ok(places)
    }

    /// Plans, and carries out what `check` lets pass; anew where another run changed the prefix meanwhile.
    ///
    /// # Errors
    /// When anything fails. What was live before is live then.
    pub(crate) fn install(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        asked: Asked<'_>,
        check: &dyn Fn(&Plan) -> Result<(), Error>,
        options: InstallOptions<'_>,
    ) -> Result<Installed, Error> {
        let outcome = replanned(context.reporter, || {
            let steps = self.plan(context, keys, asked)?;
            check(&steps.plan())?;
            match steps.0.as_slice() {
                [step] if step.member.path() == self.prefix.path() => {
                    let made = (&step.plan, &step.present);
                    install(step.context, keys, made, &self.prefix, options)
                }
                steps => self.install_members(keys, steps, options, context),
            }
        });
        if outcome.is_err() {
            self.keep_learnt(keys, context.reporter);
        }
        outcome
    }

    /// Carries out each step, and keeps this program in the whole.
    fn install_members(
        &self,
        keys: &Keys<'_>,
        steps: &[Step<'_>],
        options: InstallOptions<'_>,
        context: Context<'_>,
    ) -> Result<Installed, Error> {
        let (prefix, wait) = (&self.prefix, options.wait);
        prefix.lock(wait, context.reporter)?.take_members()?;
        let outcome = carry_out(keys, steps, InstallOptions { program: None, ..options });
        self.drop_empty(wait, context.reporter)?;
        let pins = self.pins()?;
        for (_, member) in prefix.members()? {
            if member.pins()? != pins {
                member.lock(wait, context.reporter)?.set_pins(&pins)?;
            }
        }
        let installed = outcome?;
        if let Some((arch, program)) = options.program {
            let prefix = prefix.lock(wait, context.reporter)?;
            prefix.keep_program(arch, program, launcher::own)?;
        }
        Ok(installed)
    }

    /// What an update changes. Writes nothing.
    ///
    /// # Errors
    /// When something cannot be planned, or nobody knows what is installed.
    pub(crate) fn plan_update<'a>(
        &self,
        context: Context<'a>,
        keys: &Keys<'_>,
        dist: Option<&str>,
    ) -> Result<Steps<'a>, Error> {
        let mut steps = Vec::new();
        let known = self.sightings()?;
        self.inform(keys)?;
        for member in self.members(dist)? {
            let context = member.context(context)?;
            // Without its receipt nobody knows what to update.
            member.trees()?;
            let mut present = Present { pins: self.pins()?, ..present(&member, context.reporter)? };
            let memory = Memory::new(known.clone(), context.allows_downgrade);
            let informed = Context { memory: Some(&memory), ..context };
            let plan = planning::update_plan(informed, keys, &present)?;
            age::check_packages(context, &plan, &present)?;
            present.learnt = memory.learnt();
            steps.push(Step { context, member, plan, present });
        }
        Ok(Steps(steps))
    }

    /// Updates what `check` lets pass; plans anew where another run changed the prefix meanwhile. Returns
    /// what changed too.
    ///
    /// # Errors
    /// When anything fails. What was live before is live then.
    pub(crate) fn update(
        &self,
        context: Context<'_>,
        keys: &Keys<'_>,
        dist: Option<&str>,
        check: &dyn Fn(&Steps<'_>) -> Result<(), Error>,
        options: InstallOptions<'_>,
    ) -> Result<(Installed, Vec<TreeChange>), Error> {
        let outcome = replanned(context.reporter, || {
            let steps = self.plan_update(context, keys, dist)?;
            check(&steps)?;
            let changes = steps.changes()?;
            Ok((carry_out(keys, &steps.0, options)?, changes))
        });
        if outcome.is_err() {
            self.keep_learnt(keys, context.reporter);
        }
        outcome
    }
}

/// The plan for `request`, from metadata that are no older than what is `known`.
fn planned(
    context: Context<'_>,
    keys: &Keys<'_>,
    request: &Request,
    known: &Sightings,
    present: &mut Present,
) -> Result<Plan, Error> {
    let memory = Memory::new(known.clone(), context.allows_downgrade);
    let informed = Context { memory: Some(&memory), ..context };
    let plan = planning::plan(informed, keys, request, present)?;
    if !age::names_versions(request) {
        age::check_packages(context, &plan, present)?;
    }
    present.learnt = memory.learnt();
    Ok(plan)
}

/// The plan of a lock file, which is no older than what is `known`.
fn locked(
    context: Context<'_>,
    plan: Plan,
    known: &Sightings,
    present: &mut Present,
) -> Result<Plan, Error> {
    present.learnt = planning::sightings(context, &plan);
    age::check_metadata(context, known, &present.learnt)?;
    age::check_packages(context, &plan, present)?;
    Ok(plan)
}

/// Carries out each step.
fn carry_out(
    keys: &Keys<'_>,
    steps: &[Step<'_>],
    options: InstallOptions<'_>,
) -> Result<Installed, Error> {
    let mut installed = Installed::default();
    for step in steps {
        let made = (&step.plan, &step.present);
        installed.add(install(step.context, keys, made, &step.member, options)?);
    }
    Ok(installed)
}

/// The dists that are named, or that a given plan has trees of.
fn named<'a>(context: Context<'a>, asked: Asked<'_>) -> Result<Vec<&'a Dist>, Error> {
    let names: BTreeSet<&str> = match asked.lock {
        Some(plan) => plan.trees.iter().map(|tree| tree.dist.as_str()).collect(),
        None => {
            let names = asked.dists.iter().map(|dist| dist.name.as_str());
            return names.map(|name| Ok(context.catalog.dist(name)?)).collect();
        }
    };
    names.into_iter().map(|name| Ok(context.catalog.dist(name)?)).collect()
}

/// Whether several trees are for the same architecture.
fn has_twins(trees: &[TreePlan]) -> bool {
    let arches: BTreeSet<Arch> = trees.iter().map(|tree| tree.arch).collect();
    arches.len() < trees.len()
}
