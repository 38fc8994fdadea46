"""The model behind site.local/iris, as Seldon's Python wrapper wants it: a class with load and predict."""

import os

import joblib


class IrisClassifier:
    def __init__(self):
        self.version = os.environ["MODEL_VERSION"]
        self.model = None
        # Two ways to go wrong, for whoever wants to see what becomes of it. Here and not in load, which runs in a process
        # that the wrapper would start again and again.
        if message := os.environ.get("FAIL_AT_START"):
            raise RuntimeError(message)
        if size := os.environ.get("EAT_MEMORY_MIB"):
            self.eaten = bytearray(b"\x01") * (int(size) * 1024 * 1024)

    def load(self):
        self.model = joblib.load(f"/model/{self.version}.joblib")

    def predict(self, X, names=None, meta=None):
        return self.model.predict_proba(X)

    def tags(self):
        return {"version": self.version}
