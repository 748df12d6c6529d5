from __future__ import annotations

import torch
from ranker_contract import ItemGraphContract, open_ranker


class TestSMORE(ItemGraphContract):
    name = "SMORE"
    expected_ndcg = (0.205, 0.235)
    of_the_band = {"epochs": 8, "learning_rate": 0.02}

    def test_a_missing_factor_of_the_fused_spectrum_is_one(self, planted):
        model = open_ranker(self.name, planted).model.eval()
        text, audio = model.content.present()
        with torch.no_grad():
            *_, fused = model.denoised()
            spectra = [torch.fft.rfft(x, norm="ortho") for x in model.projection(model.content)]
            k = torch.complex(model.filters[-1, :, 0], model.filters[-1, :, 1])

            def back(spectrum):
                return torch.fft.irfft(spectrum * k, n=model.size, norm="ortho")

            alone, both = text & ~audio, text & audio
            assert alone.any() and both.any()
            torch.testing.assert_close(fused[alone], back(spectra[0])[alone])
            torch.testing.assert_close(fused[both], back(spectra[0] * spectra[1])[both])

    def test_the_fused_graph_has_the_larger_weight_of_each_edge(self, planted):
        model = open_ranker(self.name, planted).model
        a = torch.rand(3, model.n_items, 4)
        model.size = 4
        dense = [model.propagated([eye * (g == i) for i in range(3)])[g] for g in range(3) for eye in [a[g]]]
        assert len(dense) == 3
        unit = torch.zeros(model.n_items, 4)
        unit[7, 0] = 1.0  # column 7 of each graph
        one, other, fused = model.propagated([unit] * 3)[:, model.n_users :, 0]
        assert torch.equal(fused, torch.maximum(one, other)) and (fused > 0).any()

    def test_the_side_view_is_a_mean_over_what_is_there(self, planted):
        model = open_ranker(self.name, planted).model.eval()
        with torch.no_grad():
            e = model.item_embeddings()
            c, side = model.views()
            b = model.propagated([e * gate(n).sigmoid() for gate, n in zip(model.gates, model.denoised())])
            for node in (1, model.n_users + 2, model.n_users + model.n_items - 1):
                parts = [model.preferences[-1](c[node]).sigmoid() * b[-1, node]]
                for m in range(2):
                    if model.present[m, node]:
                        aggregated = model.queries[m](b[-1, node]).softmax(0) * b[m, node]
                        parts.append(model.preferences[m](c[node]).sigmoid() * aggregated)
                torch.testing.assert_close(side[node], torch.stack(parts).mean(0), rtol=1e-4, atol=1e-7)
