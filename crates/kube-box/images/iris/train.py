"""Trains the two versions of the model on the data set that scikit-learn brings: train.py FOLDER."""

import sys
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
iris = load_iris()
models = {
    "1": LogisticRegression(max_iter=1000),
    # A tree of one fork tells one kind of iris from the other two, and says so: its answers are seen to be another's.
    "2": DecisionTreeClassifier(max_depth=1, random_state=0),
}
for version, model in models.items():
    joblib.dump(model.fit(iris.data, iris.target), folder / f"{version}.joblib")
