"""Folders of other tools, written as these tools write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd


class Peers:
    """60 users and 40 items, with a split and two fields of vectors, in the layouts of other tools.

    Attributes:
        rows: userID, itemID, rating, timestamp, x_label.
        vectors: field -> matrix, row i is item i.
    """

    def __init__(self, folder: Path) -> None:
        random = np.random.default_rng(11)
        pairs = np.sort(random.permutation(60 * 40)[:900])
        self.folder = folder
        self.rows = pd.DataFrame({"userID": pairs // 40, "itemID": pairs % 40})
        self.rows["rating"] = random.integers(1, 6, 900).astype(float)
        self.rows["timestamp"] = random.integers(10**9, 2 * 10**9, 900)
        self.rows["x_label"] = random.choice([0, 1, 2], 900, p=[0.8, 0.1, 0.1])
        self.vectors = {
            "image": random.normal(size=(40, 6)).astype(np.float32),
            "text": random.normal(size=(40, 4)).astype(np.float32),
        }

    def matrices(self, folder: Path, ending: str = "feat") -> None:
        for field, matrix in self.vectors.items():
            np.save(folder / f"{field}_{ending}.npy", matrix)

    def mmrec(self) -> Path:
        folder = self.folder / "baby"
        folder.mkdir()
        self.rows.to_csv(folder / "baby.inter", sep="\t", index=False)
        self.matrices(folder)
        graph = np.array([{0: [1]}], dtype=object)
        np.save(folder / "user_graph_dict.npy", graph, allow_pickle=True)
        mapping = pd.DataFrame({"asin": [f"B{i}" for i in range(40)], "itemID": range(40)})
        mapping.to_csv(folder / "i_id_mapping.csv", sep="\t", index=False)
        return folder

    def lattice(self) -> Path:
        folder = self.folder / "sports"
        (folder / "5-core").mkdir(parents=True)
        for part, name in enumerate(("train", "val", "test")):
            rows = self.rows[self.rows["x_label"] == part]
            lists = {str(user): group["itemID"].tolist() for user, group in rows.groupby("userID")}
            (folder / "5-core" / f"{name}.json").write_text(json.dumps(lists))
        self.matrices(folder)
        return folder

    def tree(self, top: Path, field: str, inner: str, name=str) -> None:
        place = top / inner
        place.mkdir(parents=True)
        for item, vector in enumerate(self.vectors[field]):
            np.save(place / f"{name(item)}.npy", vector[None])

    def ducho(self) -> Path:
        folder = self.folder / "office"
        folder.mkdir()
        rows = self.rows[["userID", "itemID", "rating"]].copy()
        rows["itemID"] = [f"B{item:03}" for item in rows["itemID"]]
        rows.to_csv(folder / "reviews.tsv", sep="\t", header=False, index=False)
        self.tree(folder / "visual_embeddings", "image", "torch/ResNet50/avgpool", lambda item: f"B{item:03}")
        inner = "sentence_transformers/sentence-transformers/all-mpnet-base-v2/1"
        self.tree(folder / "textual_embeddings", "text", inner, lambda item: f"B{item:03}")
        return folder

    def elliot(self) -> Path:
        folder = self.folder / "music"
        folder.mkdir()
        for part, name in enumerate(("train", "val", "test")):
            rows = self.rows[self.rows["x_label"] == part][["userID", "itemID", "rating"]]
            rows.to_csv(folder / f"{name}_indexed.tsv", sep="\t", header=False, index=False)
        self.tree(folder / "visual_embeddings_indexed", "image", "torch/ResNet50/avgpool")
        return folder

    def cornac(self) -> Path:
        folder = self.folder / "cornac"
        folder.mkdir()
        rows = self.rows[["userID", "itemID", "rating"]]
        rows.to_csv(folder / "rating.txt", sep="\t", header=False, index=False)
        (folder / "text.txt").write_text("".join(f'{item}::The "{item}", a :: story\n' for item in range(40)))
        np.save(folder / "image_features.npy", self.vectors["image"])
        (folder / "item_ids.txt").write_text("".join(f"{item}\n" for item in range(40)))
        return folder

    def recbole(self, separator: str = "\t") -> Path:
        folder = self.folder / "onion"
        folder.mkdir()
        rows = self.rows[["userID", "itemID", "rating", "timestamp"]]
        rows.columns = ["user_id:token", "item_id:token", "rating:float", "timestamp:float"]
        rows.to_csv(folder / "onion.inter", sep=separator, index=False)
        texts = {field: [" ".join(map(repr, row.tolist())) for row in m] for field, m in self.vectors.items()}
        items = {"item_id:token": range(40), "title:token_seq": [f'"{i}" film' for i in range(40)]}
        lines = [separator.join([*items, "img_feat:float_seq"])]
        lines += [
            separator.join([str(item), items["title:token_seq"][item], texts["image"][item]]) for item in range(40)
        ]
        (folder / "onion.item").write_text("\n".join(lines) + "\n")
        lines = ["iid:token\titem_emb:float_seq", *(f"{item}\t{texts['text'][item]}" for item in range(40))]
        (folder / "onion.itememb").write_text("\n".join(lines) + "\n")
        lines = ["ent_id:token\tent_emb:float_seq", *(f"m.{item}\t{texts['text'][item]}" for item in range(40))]
        (folder / "onion.ent").write_text("\n".join(lines) + "\n")
        lines = ["item_id:token\tentity_id:token", *(f"{item}\tm.{item}" for item in range(0, 40, 2))]
        (folder / "onion.link").write_text("\n".join(lines) + "\n")
        (folder / "onion.useremb").write_text("uid:token\tuser_emb:float_seq\n1\t0.5 0.5\n")
        return folder
