from facemask_ensemble.page.fragments import render


def test_a_name_is_neither_markup_nor_a_template_of_gradio():
    row = {
        "path": "<b>{{value}}${1}",
        "prediction": "",
        "confidence": 0.5,
        "tie": False,
        "reason": "not <i>it",
        "src": "",
    }
    text = render("images", rows=[row], chosen=0)
    assert "&lt;b&gt;&#123;&#123;value}}&#36;&#123;1}" in text
    assert "not &lt;i&gt;it" in text
    assert not {"{", "$"} & set(text)
