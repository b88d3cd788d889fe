SELECT
    strftime(ho_so.ngay_tiep_nhan, '%Y%m') AS ky,
    ho_so.ma_co_quan,
    coalesce(thu_tuc.linh_vuc, 'Chưa phân loại') AS linh_vuc,
    count(*) AS tiep_nhan,
    count(ho_so.ngay_co_ket_qua) AS da_giai_quyet,
    count(*) FILTER (ho_so.dung_han AND ho_so.ngay_co_ket_qua IS NOT NULL) AS dung_han,
    count(*) FILTER (NOT ho_so.dung_han AND ho_so.ngay_co_ket_qua IS NOT NULL) AS qua_han,
    count(*) FILTER (ho_so.ngay_co_ket_qua IS NULL AND ho_so.trang_thai <> 'Rút hồ sơ') AS dang_giai_quyet,
    count(*) FILTER (NOT ho_so.dung_han AND ho_so.ngay_co_ket_qua IS NULL AND ho_so.trang_thai <> 'Rút hồ sơ') AS dang_qua_han,
    count(*) FILTER (ho_so.trang_thai = 'Rút hồ sơ') AS rut_ho_so,
    count(*) FILTER (ho_so.hinh_thuc_nop = 'Trực tuyến') AS truc_tuyen,
    round(
        100.0 * count(*) FILTER (ho_so.dung_han AND ho_so.ngay_co_ket_qua IS NOT NULL) / nullif(count(ho_so.ngay_co_ket_qua), 0), 2
    ) AS ty_le_dung_han_pct
FROM mot_cua.ho_so AS ho_so
LEFT JOIN mot_cua.danh_muc_tthc AS thu_tuc USING (ma_tthc)
GROUP BY ALL
