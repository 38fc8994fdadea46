"""The nodes of a graph that are no models, behind site.local/steps, as Seldon's Python wrapper wants them: STEP says which."""

import numpy as np


class Scale:
    """A transformer: from millimetres to centimetres."""

    def transform_input(self, X, names, meta=None):
        return np.asarray(X) / 10

    def tags(self):
        return {"scaled": "mm to cm"}


class Average:
    """A combiner: the mean of what its children say."""

    def aggregate(self, features_list, names_list):
        return np.mean(features_list, axis=0)

    def tags(self):
        return {"averaged": True}


class Way:
    """A router: flowers with short petals to the first child, others to the second. It adds up what it is rewarded with."""

    def __init__(self):
        self.rewards = [0.0, 0.0]

    def route(self, features, names, meta=None):
        return int(np.asarray(features)[0][2] > 2.5)

    def send_feedback(self, features, names, reward, truth, routing=None):
        if routing is not None:
            self.rewards[routing] += reward

    def tags(self):
        return {"rewards": self.rewards}
