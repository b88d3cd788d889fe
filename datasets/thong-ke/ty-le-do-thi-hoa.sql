WITH dan_so AS (
    SELECT
        *,
        round(100.0 * thanh_thi / dan_so, 2) AS ty_le
    FROM thong_ke.dan_so_mat_do
)

SELECT
    nay.nam,
    nay.ma_huyen,
    nay.dan_so,
    nay.thanh_thi AS dan_so_do_thi,
    nay.nong_thon AS dan_so_nong_thon,
    nay.ty_le AS ty_le_pct,
    nay.ty_le - truoc.ty_le AS tang_so_nam_truoc_diem_pct,
    -- thành phố, thị xã là một đô thị; mỗi thị trấn là một đô thị
    nay.so_thi_tran + CASE WHEN nay.so_phuong > 0 THEN 1 ELSE 0 END AS so_do_thi
FROM dan_so AS nay
LEFT JOIN dan_so AS truoc ON truoc.ma_huyen = nay.ma_huyen AND truoc.nam = nay.nam - 1
