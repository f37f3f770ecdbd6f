"""Diffusion-weighted imaging: joint restoration, maps, radiomics features, a grade model."""
