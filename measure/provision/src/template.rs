//! Manifests of a cluster, from a template in the form that clusterctl reads: YAML with `${VARIABLE}` and `${VARIABLE:-default}`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use service::ConfigError;

use crate::LABEL;
use crate::matrix::{Matrix, PlannedCluster};

/// Labels by which a simulated provider knows what kind of cluster an object is of.
pub(crate) const DISTRIBUTION: &str = "xrbench.io/distribution";
/// See [`DISTRIBUTION`].
pub(crate) const NODES: &str = "xrbench.io/nodes";
/// See [`DISTRIBUTION`].
pub(crate) const REPETITION: &str = "xrbench.io/repetition";
/// An annotation, since flavours have letters that labels have not.
pub(crate) const FLAVOUR: &str = "xrbench.io/flavour";

/// A cluster's manifests, in the order of the template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Manifests(pub Vec<Value>);

impl Manifests {
    /// The group and kind of the control plane.
    pub(crate) fn control_plane(&self) -> Option<(&str, &str)> {
        self.0.iter().find_map(|object| {
            let (version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
            version
                .starts_with("controlplane.")
                .then_some((version, kind))
        })
    }
}

/// Every template of a matrix, read.
#[derive(Clone, Debug)]
pub(crate) struct Templates(BTreeMap<String, String>);

impl Templates {
    /// Reads the template of each distribution.
    pub(crate) fn load(matrix: &Matrix) -> Result<Self, ConfigError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|error| {
                let why = format!("the template cannot be read: {error}");
                let remedy = "A relative path is one from the folder of the matrix file.";
                ConfigError::new(
                    "template in the matrix",
                    path.display().to_string(),
                    why,
                    remedy,
                )
            })
        };
        let all = matrix.distributions.iter().map(|one| {
            let text = read(&one.template)?;
            Ok((one.name.clone(), text))
        });
        all.collect::<Result<_, ConfigError>>().map(Self)
    }

    /// The manifests of one cluster, with the labels of the experiment `id`.
    pub(crate) fn render(
        &self,
        matrix: &Matrix,
        id: &str,
        planned: &PlannedCluster,
    ) -> Result<Manifests, ConfigError> {
        let cell = &planned.cell;
        let name = matrix.cluster_name(id, planned);
        let distribution = matrix.distribution(cell);
        let template = self.0.get(&cell.distribution).map_or("", String::as_str);
        let variable = |key: &str| -> Option<String> {
            Some(match key {
                "CLUSTER_NAME" => name.clone(),
                "NAMESPACE" => matrix.namespace.clone(),
                "CONTROL_PLANE_MACHINE_COUNT" => "1".to_owned(),
                "WORKER_MACHINE_COUNT" => (cell.nodes - 1).to_string(),
                "KUBERNETES_VERSION" => distribution?.kubernetes_version.clone(),
                "FLAVOUR" => cell.flavour.clone(),
                _ => {
                    let own = distribution.and_then(|one| one.variables.get(key));
                    own.or_else(|| matrix.variables.get(key))?.clone()
                }
            })
        };
        let origin = format!("the template of {}", cell.distribution);
        let text = shellexpand::env_with_context(template, |key: &str| match variable(key) {
            None if !template.contains(&format!("${{{key}:-")) => Err(key.to_owned()),
            value => Ok(value),
        })
        .map_err(|error| {
            let remedy = format!(
                "Add {} to [variables] of the matrix, or a default to the template.",
                error.var_name
            );
            ConfigError::new(
                &origin,
                format!("${{{}}}", error.var_name),
                "the variable has no value",
                remedy,
            )
        })?;
        let wrong = |value: &str, why: String| {
            ConfigError::new(
                &origin,
                value,
                why,
                "Compare it with k8s/capi/kubeadm.yaml.",
            )
        };
        let mut objects: Vec<Value> =
            serde_saphyr::from_multiple(&text).map_err(|error| wrong("", error.to_string()))?;
        for object in &mut objects {
            for field in ["/apiVersion", "/kind", "/metadata/name"] {
                if object.pointer(field).and_then(Value::as_str).is_none() {
                    return Err(wrong(field, "an object has no such text".to_owned()));
                }
            }
            object["metadata"]["namespace"] = json!(matrix.namespace);
            let labels = &mut object["metadata"]["labels"];
            labels[LABEL] = json!(id);
            labels[DISTRIBUTION] = json!(cell.distribution);
            labels[NODES] = json!(cell.nodes.to_string());
            labels[REPETITION] = json!(planned.repetition.to_string());
            object["metadata"]["annotations"][FLAVOUR] = json!(cell.flavour);
        }
        let clusters = objects
            .iter()
            .filter(|one| one["kind"] == "Cluster" && one["metadata"]["name"] == *name);
        if clusters.count() != 1 {
            return Err(wrong(
                &name,
                "there must be one Cluster of the name ${CLUSTER_NAME}".to_owned(),
            ));
        }
        let manifests = Manifests(objects);
        if manifests.control_plane().is_none() {
            return Err(wrong(
                "",
                "there is no object of a group controlplane.*".to_owned(),
            ));
        }
        Ok(manifests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped() -> (Matrix, Templates) {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../k8s/capi/figure-4.toml");
        let matrix = Matrix::load(Path::new(folder)).expect("a matrix");
        let templates = Templates::load(&matrix).expect("templates");
        (matrix, templates)
    }

    #[test]
    fn the_shipped_templates_make_clusters_of_every_cell() {
        let (matrix, templates) = shipped();
        for planned in matrix.order() {
            let Manifests(objects) = templates
                .render(&matrix, "p1", &planned)
                .expect("manifests");
            for object in &objects {
                assert_eq!(object["metadata"]["labels"][LABEL], "p1", "{object}");
                assert_eq!(
                    object["metadata"]["namespace"], matrix.namespace,
                    "{object}"
                );
            }
            let of = |kind: &str| objects.iter().find(|one| one["kind"] == kind);
            let workers = of("MachineDeployment").expect("workers");
            assert_eq!(workers["spec"]["replicas"], planned.cell.nodes - 1);
            let kind = if planned.cell.distribution == "k3s" {
                "KThreesControlPlane"
            } else {
                "KubeadmControlPlane"
            };
            let control_plane = of(kind).expect("a control plane");
            assert_eq!(control_plane["spec"]["replicas"], 1);
            let cluster = of("Cluster").expect("a cluster");
            assert_eq!(
                cluster["spec"]["controlPlaneRef"]["name"],
                control_plane["metadata"]["name"]
            );
        }
    }

    #[test]
    fn a_variable_without_a_value_is_named() {
        let (mut matrix, templates) = shipped();
        matrix.variables.remove("OPENSTACK_IMAGE_NAME");
        let first = &matrix.order()[0];
        let error = templates
            .render(&matrix, "p1", first)
            .expect_err("no image")
            .to_string();
        assert!(
            error.contains("${OPENSTACK_IMAGE_NAME}") && error.contains("[variables]"),
            "{error}"
        );
    }
}
