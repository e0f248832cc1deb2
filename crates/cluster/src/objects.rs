//! Rendered objects, and what is changed in them before they are applied. Pure.

use serde_json::{Value, json};

/// The label that each object of a run has; its value is the run's id.
pub const RUN_LABEL: &str = "xrbench.io/run";

/// The label by which the pods of one Deployment are told from those of another that runs the same program.
pub const WORKLOAD_LABEL: &str = "xrbench.io/workload";

/// Each of our pods has one.
const FIRST_CONTAINER: &str = "/spec/template/spec/containers/0";

/// The objects of one cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Objects(Vec<Value>);

impl Objects {
    /// Reads what kustomize wrote.
    pub fn parse(yaml: &str) -> Result<Self, String> {
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(yaml).map_err(|error| error.to_string())?;
        for object in &objects {
            for field in ["apiVersion", "kind"] {
                if object[field].as_str().is_none() {
                    return Err(format!("an object has no {field}: {object}"));
                }
            }
            if object["metadata"]["name"].as_str().is_none() {
                return Err(format!("an object has no name: {object}"));
            }
        }
        let mut objects = Self(objects);
        objects.tell_workloads_apart();
        Ok(objects)
    }

    /// Every object, namespaces first.
    pub fn in_order(&self) -> impl Iterator<Item = &Value> {
        let is_namespace = |object: &&Value| object["kind"] == "Namespace";
        let first = self.0.iter().filter(is_namespace);
        first.chain(self.0.iter().filter(move |object| !is_namespace(object)))
    }

    /// The objects of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |object| object["kind"] == kind)
    }

    /// What says who may reach whom.
    pub fn network_policies(&self) -> Vec<Value> {
        self.of_kind("NetworkPolicy").cloned().collect()
    }

    /// One object.
    pub fn find(&self, kind: &str, name: &str) -> Option<&Value> {
        let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        self.0.iter().find(is_it)
    }

    fn find_mut(&mut self, kind: &str, name: &str) -> Option<&mut Value> {
        let is_it =
            |object: &&mut Value| object["kind"] == kind && object["metadata"]["name"] == name;
        self.0.iter_mut().find(is_it)
    }

    /// Adds an object, which must have the run's label.
    pub fn add(&mut self, object: Value) {
        self.0.push(object);
    }

    /// Takes an object out.
    pub fn take(&mut self, kind: &str, name: &str) -> Option<Value> {
        let is_it = |object: &Value| object["kind"] == kind && object["metadata"]["name"] == name;
        let at = self.0.iter().position(is_it)?;
        Some(self.0.remove(at))
    }

    /// The images of every container, each once.
    pub fn images(&self) -> Vec<String> {
        let containers = self
            .of_kind("Deployment")
            .flat_map(|one| list(&one["spec"]["template"]["spec"]["containers"]));
        let mut images: Vec<String> = containers
            .filter_map(|container| container["image"].as_str().map(ToOwned::to_owned))
            .collect();
        images.sort();
        images.dedup();
        images
    }

    /// Adds another Deployment like `name`, and another Service like each that selects its pods.
    pub fn copy_workload(&mut self, name: &str, copy: &str) {
        let Some(mut workload) = self.find("Deployment", name).cloned() else {
            return;
        };
        let template = &workload["spec"]["template"]["metadata"]["labels"];
        let chosen: Vec<Value> = self
            .of_kind("Service")
            .filter(|service| selects(&service["spec"]["selector"], template))
            .cloned()
            .collect();
        rename(&mut workload, copy);
        self.0.push(workload);
        for mut service in chosen {
            let named = text(&service["metadata"]["name"]).replacen(name, copy, 1);
            service["metadata"]["name"] = json!(named);
            service["spec"]["selector"][WORKLOAD_LABEL] = json!(copy);
            self.0.push(service);
        }
        // The first one's Services choose its own pods alone from now on.
        let own: Vec<&mut Value> = self
            .0
            .iter_mut()
            .filter(|object| object["kind"] == "Service")
            .filter(|service| text(&service["metadata"]["name"]).starts_with(&format!("{name}-")))
            .collect();
        for service in own {
            let selector = &mut service["spec"]["selector"];
            if selector[WORKLOAD_LABEL].is_null() {
                selector[WORKLOAD_LABEL] = json!(name);
            }
        }
    }

    /// Changes a variable of a workload's container.
    pub fn change_env(&mut self, workload: &str, name: &str, change: impl FnOnce(&str) -> String) {
        let variables = self
            .find_mut("Deployment", workload)
            .and_then(|object| object.pointer_mut(FIRST_CONTAINER)?["env"].as_array_mut());
        let mut variables = variables.into_iter().flatten();
        if let Some(variable) = variables.find(|one| one["name"] == name) {
            let changed = change(text(&variable["value"]));
            variable["value"] = json!(changed);
        }
    }

    /// Pins a workload to a node.
    pub fn pin(&mut self, workload: &str, node: &str) {
        if let Some(object) = self.find_mut("Deployment", workload) {
            let spec = &mut object["spec"]["template"]["spec"];
            spec["nodeSelector"]["kubernetes.io/hostname"] = json!(node);
        }
    }

    /// Puts a workload back, as it is started.
    pub fn put_started(&mut self, mut workload: Value, args: &[String]) {
        start(&mut workload, args);
        self.0.push(workload);
    }

    /// How much processor and memory the pods ask for, in thousandths of a processor and in bytes.
    pub fn requests(&self) -> (u64, u64) {
        let containers = self
            .of_kind("Deployment")
            .flat_map(|one| list(&one["spec"]["template"]["spec"]["containers"]));
        let mut sum = (0, 0);
        for container in containers {
            let requests = &container["resources"]["requests"];
            sum.0 += millis(&requests["cpu"]).unwrap_or(0);
            sum.1 += bytes(&requests["memory"]).unwrap_or(0);
        }
        sum
    }

    /// As YAML, for people and for `kubectl apply`.
    pub fn yaml(&self) -> String {
        let objects: Vec<&Value> = self.in_order().collect();
        serde_saphyr::to_string_multiple(&objects).unwrap_or_else(|error| format!("# {error}\n"))
    }

    /// Each Deployment selects by its own name too.
    fn tell_workloads_apart(&mut self) {
        for object in &mut self.0 {
            if object["kind"] == "Deployment" {
                let name = text(&object["metadata"]["name"]).to_owned();
                rename(object, &name);
            }
        }
    }
}

/// Whether every object of a run has the run's label, pods too.
pub(crate) fn is_of_run(object: &Value, run: &str) -> bool {
    let of = |metadata: &Value| metadata["labels"][RUN_LABEL] == run;
    let template = &object["spec"]["template"];
    of(&object["metadata"])
        && (object["kind"] != "Deployment" || template.is_null() || of(&template["metadata"]))
}

/// What a container is started with, and how many of it.
pub(crate) fn start(workload: &mut Value, args: &[String]) {
    if let Some(container) = workload.pointer_mut(FIRST_CONTAINER) {
        container["args"] = json!(args);
    }
    workload["spec"]["replicas"] = json!(1);
}

/// A text of an object; empty where there is none.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a list of an object; none where there is no list.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A quantity of processors in thousandths: `400m`, `2`, `0.5`.
pub(crate) fn millis(value: &Value) -> Option<u64> {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned);
    if let Some(millis) = text.strip_suffix('m') {
        return millis.parse().ok();
    }
    whole(text.parse::<f64>().ok()? * 1e3)
}

/// A quantity of bytes: `128Mi`, `4G`, `1000`.
pub(crate) fn bytes(value: &Value) -> Option<u64> {
    const UNITS: [(&str, f64); 8] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
    ];
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), ToOwned::to_owned);
    let unit = UNITS
        .iter()
        .find_map(|(unit, times)| Some((text.strip_suffix(*unit)?, *times)));
    let (number, times) = unit.unwrap_or((text.as_str(), 1.0));
    whole(number.parse::<f64>().ok()? * times)
}

fn whole(value: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be a positive number below 2^53"
    )]
    (0.0..9e15).contains(&value).then_some(value.ceil() as u64)
}

fn rename(workload: &mut Value, name: &str) {
    workload["metadata"]["name"] = json!(name);
    workload["spec"]["selector"]["matchLabels"][WORKLOAD_LABEL] = json!(name);
    workload["spec"]["template"]["metadata"]["labels"][WORKLOAD_LABEL] = json!(name);
}

fn selects(selector: &Value, labels: &Value) -> bool {
    let wanted = selector.as_object().filter(|wanted| !wanted.is_empty());
    wanted.is_some_and(|wanted| wanted.iter().all(|(key, value)| labels[key] == *value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: client, namespace: x, labels: {xrbench.io/run: r1}}
spec:
  replicas: 0
  selector: {matchLabels: {app: xr-client}}
  template:
    metadata: {labels: {app: xr-client, xrbench.io/run: r1}}
    spec:
      containers:
        - name: client
          image: xrbench/client:1
          env: [{name: XR_SCRAPE, value: 'client=client-ops:9093'}]
          resources: {requests: {cpu: 400m, memory: 256Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: client-ops, namespace: x, labels: {xrbench.io/run: r1}}
spec: {selector: {app: xr-client}, ports: [{port: 9093}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: x, labels: {xrbench.io/run: r1}}
";

    #[test]
    fn namespaces_come_first_and_workloads_are_told_apart() {
        let mut objects = Objects::parse(CLIENT).expect("objects");
        let first = objects.in_order().next().expect("some");
        assert_eq!(first["kind"], "Namespace");
        assert!(objects.in_order().all(|object| is_of_run(object, "r1")));
        objects.copy_workload("client", "client-2");
        for (name, service) in [("client", "client-ops"), ("client-2", "client-2-ops")] {
            let workload = objects.find("Deployment", name).expect("a workload");
            let service = objects.find("Service", service).expect("a service");
            let spec = &workload["spec"];
            assert_eq!(spec["selector"]["matchLabels"][WORKLOAD_LABEL], name);
            let labels = &spec["template"]["metadata"]["labels"];
            assert!(selects(&service["spec"]["selector"], labels), "{service}");
        }
        let other = objects.find("Service", "client-2-ops").expect("a service");
        let first = objects.find("Deployment", "client").expect("a workload");
        let labels = &first["spec"]["template"]["metadata"]["labels"];
        assert!(!selects(&other["spec"]["selector"], labels));
        assert_eq!(objects.requests(), (800, 512 << 20));
        assert_eq!(objects.images(), ["xrbench/client:1"]);
    }

    #[test]
    fn what_is_printed_reads_the_same() {
        let objects = Objects::parse(CLIENT).expect("objects");
        let again = Objects::parse(&objects.yaml()).expect("what was printed");
        assert!(objects.in_order().eq(again.in_order()));
    }

    #[test]
    fn a_workload_is_started_changed_and_pinned() {
        let mut objects = Objects::parse(CLIENT).expect("objects");
        objects.change_env("client", "XR_SCRAPE", |before| format!("{before},x=y:1"));
        objects.pin("client", "node-1");
        let mut workload = objects.take("Deployment", "client").expect("a workload");
        start(&mut workload, &["--fps=30".to_owned()]);
        let pod = &workload["spec"]["template"]["spec"];
        assert_eq!(workload["spec"]["replicas"], 1);
        assert_eq!(pod["containers"][0]["args"], json!(["--fps=30"]));
        let scrape = &pod["containers"][0]["env"][0]["value"];
        assert_eq!(scrape, "client=client-ops:9093,x=y:1");
        assert_eq!(pod["nodeSelector"]["kubernetes.io/hostname"], "node-1");
        assert_eq!(objects.find("Deployment", "client"), None);
    }

    #[test]
    fn quantities_are_understood() {
        let millis_of = |text: &str| millis(&json!(text));
        assert_eq!(millis_of("400m"), Some(400));
        assert_eq!(
            (millis_of("2"), millis(&json!(2))),
            (Some(2000), Some(2000))
        );
        assert_eq!((millis_of("x"), millis_of("-1")), (None, None));
        let bytes_of = |text: &str| bytes(&json!(text));
        assert_eq!(bytes_of("128Mi"), Some(128 << 20));
        assert_eq!(
            (bytes_of("4G"), bytes_of("7")),
            (Some(4_000_000_000), Some(7))
        );
        assert_eq!(bytes_of("much"), None);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for wrong in ["a: 1", "apiVersion: v1\nkind: Service", "- 1", "{"] {
            assert!(Objects::parse(wrong).is_err(), "{wrong}");
        }
    }
}
